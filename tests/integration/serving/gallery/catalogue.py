"""The gallery as a table, for a reader: GALLERY_TABLE names the file that the tests write it to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import yaml

HEADS = ("model", "family", "flavor", "served in", "merged", "requests", "answers")


@dataclass(frozen=True)
class Entry:
    model: str
    family: str
    flavor: str
    served_in: str
    merged: str
    requests: int
    answers: str


def flavor(folder: Path) -> str:
    """What loads it, and the MLflow that saved it if not this one."""
    described = yaml.safe_load((folder / "MLmodel").read_text())
    loader = described["flavors"]["python_function"]["loader_module"]
    return f"{loader.removeprefix('mlflow.')} (MLflow {described.get('mlflow_version')})"


def merged(described: dict) -> str:
    """From the entry in /models."""
    if described.get("batching"):
        return "yes"
    return f"no: {described.get('batching_reason')}"


def write(entries: Iterable[Entry]) -> None:
    """Appended, since two test modules may run side by side; or nothing if nobody asks."""
    if not (path := os.environ.get("GALLERY_TABLE")):
        return
    file = Path(path)
    lines = [] if file.exists() else [HEADS, ("---",) * len(HEADS)]
    lines += [tuple(str(part).replace("|", "/") for part in astuple(entry)) for entry in entries]
    with file.open("a") as table:
        table.write("".join(f"| {' | '.join(line)} |\n" for line in lines))
