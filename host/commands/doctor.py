"""`make doctor`: checks this machine, one line each, with the way out."""

from __future__ import annotations

from host.modes import checks
from host.user.options import Options
from host.user.terminal import say


def main(options: Options) -> int:  # noqa: ARG001 - takes none
    """Show all findings; status 1 if one keeps the stack from starting."""
    findings = list(checks.examine())
    for finding in findings:
        say(str(finding))
    return 1 if any(finding.level == "FAIL" for finding in findings) else 0
