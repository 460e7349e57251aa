"""The example projects' copies of what they share.

A link would be lost in a zip, in a checkout without links and by `cp -r`, so each project has the
modules of `common` that it imports; those in projects/wine are the original.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from host.paths import ROOT

PROJECTS = ROOT / "projects"
ORIGINAL = PROJECTS / "wine" / "common"
IMPORT = re.compile(r"^ *(?:\"? *)?from common\.(\w+) import", re.MULTILINE)


def stale(*, fix: bool) -> list[str]:
    """Copies that are not like the original, or not needed; none where `fix` has mended them."""
    complaints = []
    for described in sorted(PROJECTS.glob("*/MLproject")):
        folder = described.parent / "common"
        wanted = _needed([*described.parent.glob("*.py"), *described.parent.glob("*.ipynb")])
        present = {path.name: path.read_bytes() for path in folder.glob("*.py")}
        if folder == ORIGINAL or present == {path.name: path.read_bytes() for path in wanted}:
            continue
        if fix:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for path in wanted:
                shutil.copy(path, folder)
        else:
            complaints.append(f"{folder.relative_to(ROOT)} is not as in wine: make lint FIX=1")
    return complaints


def _needed(sources: Iterable[Path]) -> list[Path]:
    """The shared modules that the sources import, and those that these import."""
    needed, left = {ORIGINAL / "__init__.py"}, list(sources)
    while left:
        imported = {ORIGINAL / f"{name}.py" for name in IMPORT.findall(left.pop().read_text())}
        left += imported - needed
        needed |= imported
    return sorted(needed)
