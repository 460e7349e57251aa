"""`make clean`: remove all that the stack has made and keeps, after asking."""

from __future__ import annotations

import os
import sys

from host import compose, local, modes, settings
from host.paths import LOCAL
from host.terminal import StackError, say


def main() -> None:
    found = modes.holding_data(settings.read())
    holding = found.modes
    if found.unasked:
        say(found.unasked)
    if not holding:
        say("nothing else to remove" if found.unasked else "nothing to remove")
        return
    _explain(holding)
    _ask()
    for mode in holding:
        (local if mode == "local" else compose).clean()
    say("removed; .venv, images and the package cache stay")


def _explain(holding: list[str]) -> None:
    say("This removes, with every run, model and artifact in it:")
    if "local" in holding:
        say(f"  folder {LOCAL}")
    if "compose" in holding:
        say(f"  volumes {' '.join(compose.volumes()) or '(none)'}")
        for server in compose.elsewhere():
            say(f"It does not touch {server.what}: that is yours.")


def _ask() -> None:
    """Raises StackError unless the user says yes, at the terminal or by YES=1."""
    if os.environ.get("YES") == "1":
        return
    if not sys.stdin.isatty():
        raise StackError("nothing removed: there is no terminal to ask at; YES=1 says yes")
    if input("Remove all of it? Answer yes: ").strip().lower() != "yes":
        raise StackError("nothing removed")
