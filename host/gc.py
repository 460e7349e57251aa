"""`make gc`: delete for good what users have deleted, as the tracking server knows it.

OLDER=30d leaves what was deleted less than that ago; YES=1 does not ask.
"""

from __future__ import annotations

import os

from host import compose, local, modes, settings
from host.terminal import StackError


def main() -> int:
    given = settings.read()
    found = modes.running(given)
    if not found.modes:
        raise StackError(found.unasked or "the stack does not run: start it with make up")
    arguments = _arguments()
    if "local" in found.modes:
        return local.run_tracking(given, *arguments)
    return compose.run("migrate", *arguments)


def _arguments() -> list[str]:
    arguments = ["gc"]
    if older := os.environ.get("OLDER"):
        arguments.append(f"--older-than={older}")
    if os.environ.get("YES") == "1":
        arguments.append("--yes")
    return arguments
