"""python -m chaos: faults against a stack of its own, under load."""

import argparse
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# What this shell says of other stacks and servers must not reach this one.
for _name in [name for name in os.environ if name.startswith(("COMPOSE_", "MLFLOW_"))]:
    del os.environ[_name]
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")

import httpx  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

from benchmarks.report import insert, say  # noqa: E402
from chaos import report, trial  # noqa: E402
from chaos.faults import BY_NAME, FAULTS, Fault  # noqa: E402
from chaos.scene import Quick, Scene, Storm, publish_models  # noqa: E402
from chaos.trial import Result  # noqa: E402
from stack.test import why_no_stack  # noqa: E402
from tests.stack.shipped import copy_shipped_files  # noqa: E402
from tests.support import free_port  # noqa: E402

SUMMARY = "Bring faults about in a stack of its own, under load, and show what clients see."
PART = "faults"
RESULTS = Path("chaos/results")
TENTH = Storm(seconds=30, metrics=10_000, artifacts=20)
WHOLE = Storm(seconds=300, metrics=100_000, artifacts=200)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=SUMMARY)
    usual = WHOLE if os.environ.get("FULL") == "1" else TENTH
    parser.add_argument("--list", action="store_true", help="show the faults, and end")
    parser.add_argument("--only", default="", metavar="NAMES", help="some, comma-separated")
    minutes, metrics, artifacts = usual.seconds / 60, usual.metrics, usual.artifacts
    sizes = {
        "minutes": (float, minutes, "length of the storm, in which services are killed at random"),
        "metrics": (int, metrics, "that must be acknowledged in it"),
        "artifacts": (int, artifacts, "the same"),
    }
    for name, (kind, default, what) in sizes.items():
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{what} [{default:g}]")
    parser.add_argument("--seed", type=int, help="of what is killed when [random]")
    parser.add_argument("--page", type=Path, help="Markdown page to write the table into")
    given = parser.parse_args(arguments)
    names = list(dict.fromkeys(name for name in given.only.split(",") if name))
    if unknown := [name for name in names if name not in BY_NAME]:
        parser.error(f"--only: no fault {unknown[0]!r}: --list shows them")
    if given.page and not given.page.is_file():
        parser.error(f"--page: no file {str(given.page)!r}")
    if min(given.minutes, given.metrics, given.artifacts) < 0:
        parser.error("--minutes, --metrics and --artifacts: expected no less than 0")
    given.faults = [BY_NAME[name] for name in names] or list(FAULTS)
    given.seed = random.randrange(10**6) if given.seed is None else given.seed
    return given


def main() -> int:
    """Run the chosen faults; Ctrl-C and SIGTERM remove everything that was started."""
    given = parse(sys.argv[1:])
    if given.list:
        width = max(map(len, BY_NAME))
        print("\n".join(f"{fault.name:<{width}}  {fault.what}" for fault in FAULTS))
        return 0
    if reason := why_no_stack():
        sys.exit(f"chaos: {reason}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    storm = Storm(given.minutes * 60, given.metrics, given.artifacts, given.seed)
    try:
        results = list(run(given.faults, storm))
    except KeyboardInterrupt:
        say("stopped")
        return 130
    if not results:
        return 1
    found = report.markdown(results)
    print(found)
    say(f"saved in {save(results, found, given.page)}")
    for result in results:
        for problem in result.problems:
            say(f"NOT AS IT SHOULD BE: {result.fault.name}: {problem}")
    whole = len(results) == len(given.faults)
    return 0 if whole and not any(result.problems for result in results) else 1


def run(faults: Sequence[Fault], storm: Storm) -> Iterator[Result]:
    """One fault after the other, in a stack that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mlflow-stack-chaos-") as folder:
        copy_shipped_files(Path(folder))
        stack = Quick(Path(folder), f"mlflow-stack-chaos-{os.getpid()}", free_port(), free_port())
        try:
            say("starting a stack of its own (the first time, this builds images)")
            stack.up("--build")
            say("publishing models")
            publish_models(stack)
            for number, fault in enumerate(faults, 1):
                say(f"{number} of {len(faults)}: {fault.name}: {fault.what}")
                try:
                    yield (result := trial.run(fault, Scene(stack, storm, say)))
                    say(f"  {report.line(result)}")
                except (AssertionError, MlflowException, httpx.HTTPError) as error:
                    say(f"  NOT TO ITS END: {error}; starting what does not run")
                    stack.compose("up", "--detach", "--wait", check=False)
        finally:
            say("removing the stack")
            stack.down("--volumes", "--timeout", "2")


def save(results: Sequence[Result], found: str, page: Path | None) -> str:
    """Write the figures as JSON, and the table into a page if one is named; the paths."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps([report.as_dict(result) for result in results], indent=1) + "\n")
    if page:
        insert(page, PART, found)
    return ", ".join(map(str, filter(None, (path, page))))


if __name__ == "__main__":
    sys.exit(main())
