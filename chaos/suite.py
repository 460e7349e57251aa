"""All faults, or some, one after the other, in a stack that is removed at the end."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from mlflow.exceptions import MlflowException

from chaos import report, trial
from chaos.faults import Fault
from chaos.options import parse
from chaos.scene import Quick, Scene, Storm, publish_models
from chaos.team import OVERLAY, enter
from chaos.trial import Result, Unfinished
from harness.ports import free_port
from harness.report import say
from harness.stack import copy_shipped_files
from host.docker.readiness import why_no_stack
from host.user.pages import insert

# Of the page: its mark, its title.
ALL = ("faults", "What clients see")
OF_TEAM = ("gateway faults", "What clients of the gateway see")
RESULTS = Path("chaos/results")


def main(arguments: list[str]) -> int:
    """Run the chosen faults; Ctrl-C and SIGTERM remove everything that was started."""
    options = parse(arguments)
    if options.list:
        width = max(len(fault.name) for fault in options.faults)
        print("\n".join(f"{fault.name:<{width}}  {fault.what}" for fault in options.faults))
        return 0
    if reason := why_no_stack():
        sys.exit(f"chaos: {reason}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        results = list(run(options.faults, options.storm, options.team))
    except KeyboardInterrupt:
        say("stopped")
        return 130
    part, title = OF_TEAM if options.team else ALL
    table = report.markdown(results, title)
    print(table)
    say(f"saved in {save(results, table, options.page, part)}")
    for line in report.trouble(results):
        say(line)
    return 1 if report.trouble(results) else 0


def run(faults: Sequence[Fault], storm: Storm, team: bool) -> Iterator[Result | Unfinished]:
    """One outcome a fault, of all of them."""
    with tempfile.TemporaryDirectory(prefix="mlflow-stack-chaos-") as folder:
        copy_shipped_files(Path(folder))
        name, overlays = f"mlflow-stack-chaos-{os.getpid()}", [OVERLAY] if team else []
        stack = Quick(Path(folder), name, free_port(), free_port(), overlays)
        scene = Scene(stack, storm, say)
        try:
            say("starting a stack of its own (the first time, this builds images)")
            stack.up("--build")
            say("publishing models")
            if team:
                enter(scene)
            publish_models(scene)
            for number, fault in enumerate(faults, 1):
                say(f"{number} of {len(faults)}: {fault.name}: {fault.what}")
                try:
                    yield (result := trial.run(fault, scene))
                    say(f"  {report.line(result)}")
                except (AssertionError, MlflowException, httpx.HTTPError) as error:
                    say(f"  NOT TO ITS END: {error}; starting what does not run")
                    stack.compose("up", "--detach", "--wait", check=False)
                    yield Unfinished(fault, str(error))
        finally:
            say("removing the stack")
            stack.down("--volumes", "--timeout", "2")


def save(results: Sequence[Result | Unfinished], table: str, page: Path | None, part: str) -> str:
    """Write the figures as JSON, and the table into a page if one is named; the paths."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps([report.as_dict(result) for result in results], indent=1) + "\n")
    if page:
        insert(page, part, table)
    return ", ".join(map(str, filter(None, (path, page))))
