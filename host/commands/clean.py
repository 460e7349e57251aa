"""`make clean`: remove all that the stack has made and keeps, after asking.

YES=1 does not ask. What overlays made that are off by now goes, too.
"""

from __future__ import annotations

import sys

from host.modes import choice
from host.modes.mode import Mode
from host.user import settings
from host.user.options import Options
from host.user.terminal import CommandError, say


def main(options: Options) -> None:
    """Raises CommandError if the user does not agree, or something stays."""
    selection = choice.holding_data(settings.read())
    if selection.unasked:
        say(selection.unasked)
    if not selection.modes:
        say("nothing else to remove" if selection.unasked else "nothing to remove")
        return
    for mode in selection.modes:
        if others := mode.other_checkouts():
            raise CommandError(
                f"nothing removed: a stack of the same name was made in {', '.join(others)}: "
                "run make clean there, or set COMPOSE_PROJECT_NAME here"
            )
    _explain(selection.modes)
    if not options.yes:
        _ask()
    for mode in selection.modes:
        mode.clean()
    say("removed; .venv, images and the package cache stay")


def _explain(modes: list[Mode]) -> None:
    say("This removes, with every run, model and artifact in it:")
    for mode in modes:
        for line in mode.holds():
            say(f"  {line}")
        for server in mode.servers():
            say(f"It does not touch {server.what}: that is yours.")


def _ask() -> None:
    """Raises CommandError unless the user says yes at the terminal."""
    if not sys.stdin.isatty():
        raise CommandError("nothing removed: there is no terminal to ask at; YES=1 says yes")
    if input("Remove all of it? Answer yes: ").strip().lower() != "yes":
        raise CommandError("nothing removed")
