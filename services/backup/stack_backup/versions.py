"""Registered model versions in a dump, and the artifacts that each of them points to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stack_backup import database

DELETED = "Deleted_Internal"
PROMPT = "mlflow.prompt.is_prompt"  # tag of what MLflow registers like models, without artifacts
PROXIED = "mlflow-artifacts:"


@dataclass(frozen=True)
class Version:
    """artifacts: the folder or file in the bucket, below the store's prefix; None: they are
    elsewhere, where `location` says."""

    name: str
    version: str
    location: str
    artifacts: str | None

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


def read(dump: Path, store: str) -> list[Version]:
    """Every registered version in a dump of MLflow's database. store: s3://BUCKET[/PREFIX]."""
    models = {
        row["model_id"]: row["artifact_location"] for row in database.rows(dump, "logged_models")
    }
    prompts = {
        (row["name"], row["version"])
        for row in database.rows(dump, "model_version_tags")
        if row["key"] == PROMPT
    }
    kept = [
        row
        for row in database.rows(dump, "model_versions")
        if row["current_stage"] != DELETED and (row["name"], row["version"]) not in prompts
    ]
    places = {
        (str(row["name"]), str(row["version"])): row["storage_location"] or row["source"] or ""
        for row in kept
    }
    runs: dict[str | None, str | None] = {}

    def place(uri: str, depth: int = 0) -> str:
        """Where the files are; versions may point to models, runs and other versions."""
        scheme, _, rest = uri.partition(":/")
        rest = rest.strip("/")
        head, _, tail = rest.partition("/")
        target = None
        if scheme == "models":
            target = places.get((head, tail)) if tail else models.get(head)
        elif scheme == "runs":
            if not runs:
                runs.update((r["run_uuid"], r["artifact_uri"]) for r in database.rows(dump, "runs"))
            target = f"{runs[head]}/{tail}" if runs.get(head) else None
        return place(target, depth + 1) if target and depth < 10 else uri

    return [
        Version(name, version, uri := place(start), _in_bucket(uri, store))
        for (name, version), start in places.items()
    ]


def _in_bucket(uri: str, store: str) -> str | None:
    if uri.startswith(PROXIED):
        path = uri.removeprefix(PROXIED)
        # mlflow-artifacts:/path and mlflow-artifacts://host/path
        return (path[2:].partition("/")[2] if path.startswith("//") else path).strip("/")
    return uri.removeprefix(f"{store}/").strip("/") if uri.startswith(f"{store}/") else None


def lacking(versions: list[Version], has: Callable[[str], bool]) -> list[Version]:
    """Those of whose artifacts nothing is there. has: whether a path is a file, or a folder that
    holds one."""
    return [one for one in versions if one.artifacts is not None and not has(one.artifacts)]


def in_files(files: set[str]) -> Callable[[str], bool]:
    """`has` for a list of paths."""
    folders = {parent.as_posix() for file in files for parent in Path(file).parents}
    return lambda path: (path or ".") in folders or path in files


def in_folder(root: Path) -> Callable[[str], bool]:
    """`has` for files on disk."""
    return lambda path: (
        (root / path).is_file() or any(one.is_file() for one in (root / path).rglob("*"))
    )
