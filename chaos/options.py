"""What the command line says."""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

from chaos.faults import FAULTS, TEAM
from chaos.scene import Storm

SUMMARY = "Bring faults about in a stack of its own, under load, and show what clients see."
TENTH = Storm(seconds=30, metrics=10_000, artifacts=20)
WHOLE = Storm(seconds=300, metrics=100_000, artifacts=200)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, with the chosen `faults` and `storm`. Exits with a line on what is refused."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=SUMMARY)
    usual = WHOLE if os.environ.get("FULL") == "1" else TENTH
    parser.add_argument("--list", action="store_true", help="show the faults, and end")
    parser.add_argument(
        "--team", action="store_true", help="with compose.team.yml, the faults of the gateway"
    )
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
    options = parser.parse_args(arguments)
    names = list(dict.fromkeys(name for name in options.only.split(",") if name))
    offered = {fault.name: fault for fault in (TEAM if options.team else FAULTS)}
    if unknown := [name for name in names if name not in offered]:
        parser.error(f"--only: no fault {unknown[0]!r}: --list shows them")
    if options.page and names:
        parser.error("--page: the table has all faults: leave out --only")
    if options.page and not options.page.is_file():
        parser.error(f"--page: no file {str(options.page)!r}")
    if min(options.minutes, options.metrics, options.artifacts) < 0:
        parser.error("--minutes, --metrics and --artifacts: expected no less than 0")
    options.faults = [offered[name] for name in names or offered]
    seed = random.randrange(10**6) if options.seed is None else options.seed
    options.storm = Storm(options.minutes * 60, options.metrics, options.artifacts, seed)
    return options
