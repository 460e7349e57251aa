"""How much of each package the tests ran, lines and branches together."""

from __future__ import annotations

import collections
import json
import subprocess
import tempfile
from pathlib import Path, PurePath

from host.paths import ROOT
from host.python import environment


def forget() -> None:
    """Remove what earlier runs measured."""
    _coverage("erase")


def figures() -> str:
    """A line a package."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        _coverage("json", "--quiet", "-o", str(report))
        if not report.exists():
            return "no coverage was measured"
        files = json.loads(report.read_text())["files"]
    ran: collections.Counter[str] = collections.Counter()
    all_of: collections.Counter[str] = collections.Counter()
    for name, file in files.items():
        parts = PurePath(name).parts
        package = parts[2] if parts[0] == "services" else parts[0]
        of_file = file["summary"]
        ran[package] += of_file["covered_lines"] + of_file["covered_branches"]
        all_of[package] += of_file["num_statements"] + of_file["num_branches"]
    lines = [f"{name:<22}{ran[name] / all_of[name]:7.0%}" for name in sorted(all_of)]
    return "\n".join(["coverage of lines and branches", *lines])


def _coverage(*arguments: str) -> None:
    subprocess.run([environment.PYTHON, "-m", "coverage", *arguments], cwd=ROOT, check=False)
