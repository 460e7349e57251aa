"""The lines of a model's requirements.txt, with those of other files of the model that it names.

`-c constraints.txt` is what MLflow writes where the author gave constraints; `-r base.txt` comes of
files written by hand. A file elsewhere on this machine is none of the model's: its line stays.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_REQUIREMENTS = re.compile(r"(?:-r|--requirement)[\s=]*(?P<file>.+)")
_PACKAGES = re.compile(r"(?:-f|--find-links)[\s=]*(?P<folder>.+)")
_CONSTRAINTS = re.compile(r"(?:-c|--constraint)[\s=]*(?P<file>.+)")


def lines_of(folder: Path, file: Path, seen: frozenset[Path] = frozenset()) -> list[str]:
    """The lines without comments. Raises OSError, ValueError."""
    text = re.sub(r"\\\n", " ", file.read_text())
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return expanded(folder, filter(None, stripped), seen | {file.resolve()})


def expanded(folder: Path, lines: Iterable[str], seen: frozenset[Path] = frozenset()) -> list[str]:
    """The lines, and in place of `-r FILE` those of the file."""
    whole = []
    for line in lines:
        file = _named(_REQUIREMENTS, line, folder)
        if file is None:
            whole.append(line)
        elif file not in seen:
            whole += lines_of(folder, file, seen)
    return whole


def has_effect(folder: Path, line: str) -> bool:
    """Whether it is no option that stops uv and that pip would go on without: a folder with
    packages that stayed behind where the model was logged; hashes for all, where the server adds
    its own."""
    if line == "--require-hashes":
        return False
    place = _PACKAGES.fullmatch(line)
    return not place or "://" in place["folder"] or (folder / place["folder"]).exists()


def constraints(folder: Path, lines: Iterable[str]) -> dict[str, Requirement]:
    """What the files hold that these lines name with `-c`, by canonical name."""
    bounds: dict[str, Requirement] = {}
    for file in filter(None, (_named(_CONSTRAINTS, line, folder) for line in lines)):
        for line in lines_of(folder, file):
            try:
                entry = Requirement(line)
            except InvalidRequirement:
                continue
            if entry.marker is None or entry.marker.evaluate():
                bounds[canonicalize_name(entry.name)] = entry
    return bounds


def _named(option: re.Pattern[str], line: str, folder: Path) -> Path | None:
    """The file of the model that the line names with this option."""
    if not (match := option.fullmatch(line)):
        return None
    own = folder.resolve()
    file = (own / match["file"].strip("'\"")).resolve()
    return file if file.is_relative_to(own) and os.path.isfile(file) else None  # noqa: PTH113
