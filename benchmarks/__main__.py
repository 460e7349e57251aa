"""python -m benchmarks [PART ...]: measure, print ratios, save the figures."""

import argparse
import os
import signal
import sys
import warnings
from dataclasses import fields
from pathlib import Path

warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # PostgreSQL's wheel falls back
# Byte code is cached for every server alike, whatever this shell says; no telemetry from any.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# `mlflow models serve` looks for uvicorn on the PATH: that of this environment.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")

from benchmarks import (  # noqa: E402
    artifacts,
    logging_speed,
    machine,
    serving,
    tracking,
    validation,
    wrk,
)
from benchmarks.options import QUICK, Options, flag  # noqa: E402
from benchmarks.report import markdown, save  # noqa: E402
from benchmarks.serving.plan import plan  # noqa: E402
from benchmarks.tracking import growth  # noqa: E402
from harness.report import Section, say  # noqa: E402

SUMMARY = "Measure, print ratios, and save the figures."
PARTS = {
    "tracking": tracking.measure,
    "growth": growth.measure,
    "logging": logging_speed.measure,
    "artifacts": artifacts.measure,
    "serving": serving.measure,
    "validation": validation.measure,
}
USUAL = ["tracking", "logging"]  # if no part is named: serving alone takes longer than both


def parse(arguments: list[str]) -> tuple[list[str], Options]:
    """The parts to measure, and their sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=SUMMARY)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)} [{' '.join(USUAL)}]")
    parser.add_argument("--quick", action="store_true", help="shows that all works, in minutes")
    for one in fields(Options):
        parser.add_argument(f"--{one.name}", **flag(one))
    values = vars(parser.parse_args(arguments))
    parts, sizes = values.pop("part"), QUICK if values.pop("quick") else {}
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {unknown.pop()!r}")
    try:
        options = Options(
            **sizes | {name: value for name, value in values.items() if value is not None}
        )
        plan(options)  # whose names are checked now, and not after the other parts
        return list(dict.fromkeys(parts)) or USUAL, options
    except ValueError as error:
        return parser.error(str(error))


def main() -> int:
    """Run the chosen parts; Ctrl-C and SIGTERM stop everything that was started."""
    parts, options = parse(sys.argv[1:])
    if refusal := machine.refusal():
        sys.exit(f"benchmarks: {refusal}")
    if "tracking" in parts and not wrk.installed():
        sys.exit(f"benchmarks: {wrk.MISSING}")
    try:
        Path(options.output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"benchmarks: --output: {error.strerror}: {error.filename}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sections: dict[str, list[Section]] = {}
    try:
        for part in parts:
            sections[part] = PARTS[part](options)
    except KeyboardInterrupt:
        say("stopped")
        return 130
    facts = machine.describe()
    print(markdown(options, facts, [section for those in sections.values() for section in those]))
    say(f"saved in {', '.join(map(str, save(options, facts, sections)))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
