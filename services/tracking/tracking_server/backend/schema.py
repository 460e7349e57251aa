"""The database schema that the installed MLflow needs, read without importing MLflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

REVISION = re.compile(r"^revision\b.*?=\s*[\"'](\w+)[\"']", re.MULTILINE)
DOWN_REVISION = re.compile(r"^down_revision\b.*?=\s*[\"'](\w+)[\"']", re.MULTILINE)


@dataclass(frozen=True)
class Schema:
    """The revisions of MLflow's schema that this installation knows."""

    head: str
    known: frozenset[str]


def installed() -> Schema:
    """The schema of the installed MLflow's backend store."""
    return _read("store", "db_migrations")


def logins() -> Schema:
    """The schema of its database of users."""
    return _read("server", "auth", "db", "migrations")


def _read(*parts: str) -> Schema:
    """Read the migration scripts in a folder of MLflow's.

    Importing MLflow takes seconds, these sixty small files take milliseconds; a test
    compares the answer with MLflow's own.
    """
    spec = find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("MLflow is not installed")
    folder = Path(spec.submodule_search_locations[0], *parts, "versions")
    scripts = [path.read_text() for path in folder.glob("*.py")]
    revisions = {match[1] for text in scripts if (match := REVISION.search(text))}
    followed = {match[1] for text in scripts if (match := DOWN_REVISION.search(text))}
    heads = revisions - followed
    if len(heads) != 1:
        raise RuntimeError(f"MLflow's migrations end in {sorted(heads)}, not in one revision")
    return Schema(head=heads.pop(), known=frozenset(revisions))
