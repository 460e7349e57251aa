"""`make doctor`: checks this machine, one line each, with the way out."""

from __future__ import annotations

from host.modes import checks
from host.user.options import Options
from host.user.terminal import say


def main(options: Options) -> int:  # noqa: ARG001 - takes none
    """Show all results; status 1 if one keeps the stack from starting."""
    results = list(checks.examine())
    for result in results:
        say(str(result))
    return 1 if any(result.level == "FAIL" for result in results) else 0
