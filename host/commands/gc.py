"""`make gc`: delete for good what users have deleted, as the tracking server knows it.

OLDER=30d leaves what was deleted less than that ago; YES=1 does not ask.
"""

from __future__ import annotations

from host.modes import choice
from host.user import settings
from host.user.options import Options
from host.user.terminal import CommandError


def main(options: Options) -> int:
    """Raises CommandError where nothing runs."""
    stack = settings.read()
    selection = choice.running(stack)
    if not selection.modes:
        raise CommandError(selection.unasked or "the stack does not run: start it with make up")
    return selection.modes[0].gc(stack, *_arguments(options))


def _arguments(options: Options) -> list[str]:
    older = [f"--older-than={options.older}"] if options.older else []
    return [*older, *(["--yes"] if options.yes else [])]
