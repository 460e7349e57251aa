"""The example projects' copies of what they share.

A link would be lost in a zip, in a checkout without links and by `cp -r`, so each project has the
modules of `common` that it imports; those in projects/wine are the original.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from host.paths import ROOT

PROJECTS = ROOT / "projects"
ORIGINAL = PROJECTS / "wine" / "common"


def stale(*, fix: bool) -> list[str]:
    """Copies that are not like the original, or not needed; none where `fix` has mended them.
    Modules that are not of the original are a project's own, and left alone."""
    complaints = []
    shared = {path.name for path in ORIGINAL.glob("*.py")}
    for described in sorted(PROJECTS.glob("*/MLproject")):
        folder = described.parent / "common"
        sources = [*described.parent.rglob("*.py"), *described.parent.glob("*.ipynb")]
        needed = _needed([path for path in sources if folder not in path.parents])
        unknown = sorted(name for name in needed - shared if not (folder / name).exists())
        complaints += [f"{folder.relative_to(ROOT)}/{name} is not there" for name in unknown]
        wanted = {name: (ORIGINAL / name).read_bytes() for name in needed & shared}
        present = {path.name: path.read_bytes() for path in folder.glob("*.py")}
        copies = {name: content for name, content in present.items() if name in shared}
        if folder == ORIGINAL or copies == wanted:
            continue
        if not fix:
            complaints.append(f"{folder.relative_to(ROOT)} is not as in wine: make lint FIX=1")
            continue
        folder.mkdir(exist_ok=True)
        for name in copies.keys() - wanted.keys():
            (folder / name).unlink()
        for name in wanted:
            shutil.copy(ORIGINAL / name, folder)
    return complaints


def _needed(sources: Iterable[Path]) -> set[str]:
    """Files of `common` that the sources import, and those that these import; none where nothing
    is imported from it."""
    needed: set[str] = set()
    left = list(sources)
    while left:
        imported = {f"{name}.py" for name in _imported(left.pop())}
        left += [ORIGINAL / name for name in imported - needed if (ORIGINAL / name).exists()]
        needed |= imported
    return needed


def _imported(source: Path) -> Iterator[str]:
    """Modules of `common` that a file imports, `__init__` with each."""
    for text in _codes(source):
        for node in ast.walk(ast.parse(text)):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
                if names == ["common"]:  # its modules, or what is in its __init__
                    names += [f"common.{name.name}" for name in node.names]
            elif isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            for parts in (name.split(".") for name in names):
                if parts[0] == "common":
                    yield "__init__"
                    yield from parts[1:2]


def _codes(source: Path) -> Iterator[str]:
    """The program, or a notebook's cells, whose magic lines are no Python."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".py":
        yield text
        return
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            yield "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
