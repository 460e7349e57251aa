"""Where artifacts really lie: folders below the artifact store, in a bucket or on this machine."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tracking_server.artifacts.s3 import ProxiedS3
from tracking_server.errors import RefusedError

PROXY_PATH = "/api/2.0/mlflow-artifacts/artifacts/"


@dataclass(frozen=True)
class Usage:
    """files: how many. size: bytes, all together."""

    files: int = 0
    size: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.files + other.files, self.size + other.size)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(max(0, self.files - other.files), max(0, self.size - other.size))


def place(uri: str | None, store: str) -> str | None:
    """The place that an artifact URI of MLflow means, None if that is not below `store`.

    store: s3://BUCKET[/PREFIX] or an absolute folder, without a slash at its end. The place has
    the same form.
    """
    url = urlsplit(uri or "")
    if url.scheme == "mlflow-artifacts":
        spot = f"{store}/{url.path.strip('/')}"
    elif url.scheme in ("http", "https") and url.path.startswith(PROXY_PATH):
        spot = f"{store}/{url.path.removeprefix(PROXY_PATH).strip('/')}"
    elif url.scheme == "file":
        spot = unquote(url.path).rstrip("/")
    else:
        spot = (uri or "").rstrip("/")
    inside = spot.removeprefix(f"{store}/")
    if inside == spot or not all(part not in ("", ".", "..") for part in inside.split("/")):
        return None
    return spot


def usage(place: str) -> Usage:
    """What lies at a place and below; nothing where there is no such place."""
    if place.startswith("/"):
        return _usage_of_folder(Path(place))
    repository = get_artifact_repository(place)
    if not isinstance(repository, ProxiedS3):
        raise TypeError(f"{place}: MLflow's own repository tells no usage")
    return Usage(*repository.usage())


def remove(place: str) -> None:
    """Remove a place with all that is below. Removing what is gone is no error.

    Raises:
        RefusedError: something is still there.
    """
    get_artifact_repository(place).delete_artifacts()
    if left := usage(place).files:
        raise RefusedError(f"{left} files below {place} could not be deleted")
    if place.startswith("/") and place.endswith("/artifacts"):
        # The folder that each run and model has around them.
        with contextlib.suppress(OSError):
            Path(place).parent.rmdir()


def _usage_of_folder(folder: Path) -> Usage:
    total = Usage()
    for directory, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Usage(1, Path(directory, name).lstat().st_size)
    return total
