"""`make audit`: asks a public database for known holes in what the locks pin, by pip-audit.

A hole in what the product consists of is a failure, unless it is accepted below. What is pinned to
old releases on purpose (other servers to compare with, releases to upgrade from) is only noted.
AUDIT=required makes a machine fail on which no database answers.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from host.paths import VENV, shown
from host.python import environment, locks
from host.user.options import Options
from host.user.terminal import CommandError, say, step

PATIENCE = "15"  # seconds that the database gets for one answer
ACCEPTED: dict[str, str] = {}
"""The id of a hole, and why it does no harm here."""


def main(options: Options) -> int:
    """Status 1 for a hole that is not accepted."""
    environment.ensure(environment.DEV)
    apart = locks.peers()
    status = 0
    for source in locks.sources():
        locked = locks.lock_of(source)
        note = " (old on purpose)" if source in apart else ""
        with step(f"asking for known holes in {shown(locked)}{note}") as show:
            packages = _ask(locked)
            holes = list(_holes(packages))
            for _, line in holes:
                show(f"  {line}")
        unknown = [package["name"] for package in packages if "skip_reason" in package]
        if len(unknown) == len(packages):
            say("\n!!! NOT AUDITED: no database of known holes answers here")
            return 1 if options.audit else status
        if unknown:
            say(f"  not in the database: {', '.join(unknown)}")
        if source not in apart and any(hole not in ACCEPTED for hole, _ in holes):
            status = 1
    return status


def _holes(packages: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The id of each, and the line on it."""
    for package in packages:
        for hole in package.get("vulns", []):
            name = hole["id"]
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            accepted = f" (accepted: {ACCEPTED[name]})" if name in ACCEPTED else ""
            yield (
                name,
                f"{package['name']} {package['version']}: {name}, mended in {mended}{accepted}",
            )


def _ask(locked: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each package. Raises CommandError where it says nothing."""
    command: list[str | Path] = [VENV / "bin" / "pip-audit", "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner", "off", "--timeout", PATIENCE, "--format", "json"]
    command += ["--requirement", locked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise CommandError(f"pip-audit: {shown(locked)}: {lines[-1]}") from None
    return packages
