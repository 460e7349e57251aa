"""The gallery as a table: GALLERY_TABLE names the page on which the tests renew their rows."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import yaml

from harness.serving import ModelServer

HEADS = (
    "model",
    "family",
    "flavor (MLflow)",
    "environment",
    "requests merged",
    "engine",
    "requests",
    "answers",
)
SAME = "same"
LONGEST = 160
"""Characters of a reason."""


@dataclass(frozen=True)
class Entry:
    model: str
    family: str
    flavor: str = ""
    environment: str = ""
    merged: str = ""
    engine: str = ""
    requests: int = 0
    answers: str = SAME


def describe(name: str, family: str, folder: Path, ours: ModelServer, requests: int) -> Entry:
    """Row of a model that was made, whatever became of it."""
    described = ours.model(name)
    return Entry(
        name,
        family,
        _flavor(folder),
        _environment(described, ours),
        _merged(described),
        described.get("engine") or "",
        requests,
    )


def _flavor(folder: Path) -> str:
    """What loads it, and the MLflow that saved it."""
    described = yaml.safe_load((folder / "MLmodel").read_text())
    loader = described["flavors"]["python_function"]["loader_module"]
    return f"{loader.removeprefix('mlflow.')} ({described.get('mlflow_version')})"


def _environment(described: dict, ours: ModelServer) -> str:
    """Its seconds are those of the log."""
    if not (because := described.get("environment")):
        return "the server's" if described.get("state") == "serving" else ""
    built = {line["because"]: line["seconds"] for line in ours.log_lines("environment built")}
    taken = f", {built[because]:.0f} s" if because in built else ""
    return f"own{taken}: {because}"


def _merged(described: dict) -> str:
    if described.get("batching"):
        return "yes"
    return f"no: {described.get('batching_reason')}" if "batching" in described else ""


def write(entry: Entry) -> None:
    """Update the page, where somebody asks for it. Rows of other models stay as they are, since two
    test modules may run side by side."""
    if not (path := os.environ.get("GALLERY_TABLE")):
        return
    with Path(path).open("a+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)
        page.seek(0)
        text = renewed(page.read(), entry)
        page.truncate(0)
        page.write(text)


def renewed(page: str, entry: Entry) -> str:
    """The page with this row in its table, which is its end; it gets one if it has none."""
    head = _line(HEADS)
    above, _, table = page.partition(head)
    rows = {tuple(line.split(" | ")[:2]): line for line in table.splitlines()[2:]}
    line = _line(astuple(entry))
    rows[tuple(line.split(" | ")[:2])] = line
    ordered = sorted(rows.values(), key=lambda line: line.split(" | ")[1::-1])
    return above + "\n".join([head, _line(["---"] * len(HEADS)), *ordered]) + "\n"


def _line(parts: Iterable[object]) -> str:
    return f"| {' | '.join(_cell(str(part)) for part in parts)} |"


def _cell(text: str) -> str:
    text = " ".join(text.replace("|", "/").split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
