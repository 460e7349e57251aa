"""`make audit`: asks a public database for known holes in what the locks pin, by pip-audit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stack import environment, lock
from stack.paths import shown
from stack.terminal import StackError, say, step

PATIENCE = "15"  # seconds that the database gets for one answer


def main() -> int:
    environment.ensure(environment.DEV)
    status = 0
    for source in lock.sources():
        locked = lock.lock_of(source)
        with step(f"asking for known holes in {shown(locked)}") as show:
            packages = _ask(locked)
            for line in (lines := list(_holes(packages))):
                show(f"  {line}")
        unknown = [package["name"] for package in packages if "skip_reason" in package]
        if len(unknown) == len(packages):
            say("\n!!! NOT AUDITED: no database of known holes answers here")
            return status
        if unknown:
            say(f"  not in the database: {', '.join(unknown)}")
        status = max(status, bool(lines))
    return status


def _holes(packages: list[dict]) -> Iterator[str]:
    for package in packages:
        for hole in package.get("vulns", []):
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"


def _ask(locked: Path) -> list[dict]:
    """What pip-audit says of each package. Raises StackError where it says nothing."""
    command = [environment.VENV / "bin" / "pip-audit", "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner", "off", "--timeout", PATIENCE, "--format", "json"]
    command += ["--requirement", locked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines() or ["no answer"]
        raise StackError(f"pip-audit: {shown(locked)}: {lines[-1]}") from None
