"""Open the file that the user names, wherever it is, as a stream of bytes."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from common.errors import BadInput, first_line

SECONDS = 30  # to connect, and between two pieces of a download
PIECE = 1 << 20  # bytes


@dataclass
class Source:
    """A stream of bytes that is read once; `size` is in bytes, None where nobody knows it."""

    name: str
    stream: BinaryIO
    size: int | None
    done: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`, none at the end.

        Raises BadInput where the source breaks off.
        """
        try:
            data = self.stream.read(size)
        except Exception as error:  # the disk's or the network's, of several libraries
            raise unreadable(self.name, error) from error
        self.done += len(data)
        self.digest.update(data)
        return data


@contextmanager
def opened(name: str) -> Iterator[Source]:
    """The source of a path or URI. Web addresses are read as they come; what MLflow knows how to
    fetch (s3, mlflow-artifacts, runs, ...) goes through a temporary file.

    Raises BadInput where it cannot be read.
    """
    if scheme(name) in ("http", "https"):
        with web(name) as source:
            yield source
        return
    with local_file(name) as path:
        try:
            stream, size = path.open("rb"), path.stat().st_size
        except (OSError, ValueError) as error:
            raise unreadable(name, error) from error
        with stream:
            yield Source(name, stream, size)


@contextmanager
def web(name: str) -> Iterator[Source]:
    """A web address, streamed."""
    import requests

    try:
        answer = requests.get(name, stream=True, timeout=SECONDS)
        answer.raise_for_status()
    except (requests.RequestException, ValueError) as error:
        raise unreadable(name, error) from error
    with answer:
        answer.raw.decode_content = True
        length = answer.headers.get("content-length", "")
        known = length.isdigit() and "content-encoding" not in answer.headers
        yield Source(name, answer.raw, int(length) if known else None)


@contextmanager
def local_file(name: str) -> Iterator[Path]:
    """The path of a local copy of the source, which is the file itself where it is local."""
    kind = scheme(name)
    if not kind:
        path = Path(name.removeprefix("file://"))
        yield existing(path, name)
        return
    with TemporaryDirectory(prefix="validation-") as folder:
        path = Path(folder, "data.csv")
        if kind in ("http", "https"):
            with web(name) as source, path.open("wb") as copy:
                while piece := source.read(PIECE):
                    copy.write(piece)
            yield path
            return
        from mlflow.artifacts import download_artifacts

        try:
            path = Path(download_artifacts(artifact_uri=name, dst_path=folder))
        except Exception as error:  # MLflow's, and those of each storage's own library
            raise unreadable(name, error) from error
        yield existing(path, name)


def existing(path: Path, name: str) -> Path:
    """The path, if there is a file. Raises BadInput where there is none."""
    try:
        if path.is_dir():
            raise BadInput(f"{shown(name)!r} is a folder, not a file")
        if not path.exists():
            raise BadInput(
                f"no file {shown(name)!r} (relative paths start at the project's folder)"
            )
    except (OSError, ValueError) as error:  # a name that no file can have
        raise unreadable(name, error) from error
    return path


def scheme(name: str) -> str:
    """The scheme of a URI, empty for a path and for `file://`."""
    before, mark, _ = name.partition("://")
    if not mark and name.startswith(("mlflow-artifacts:/", "runs:/", "models:/")):
        return name.partition(":")[0]
    return before.lower() if mark and before.lower() != "file" else ""


def shown(name: str) -> str:
    """The name without what may be secret in a URI: password, signature."""
    if not scheme(name):
        return name
    try:
        parts = urlsplit(name)
    except ValueError:
        return name.partition("?")[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def unreadable(name: str, error: Exception) -> BadInput:
    """Why a source cannot be read, in one line."""
    reason = str(error)
    if scheme(name):
        beyond = name.partition("://")[2].partition("/")
        for secret in (name.partition("?")[2], beyond[0].rpartition("@")[0]):
            reason = reason.replace(secret, "...") if secret else reason
    return BadInput(f"{shown(name)!r} cannot be read: {first_line(OSError(reason))}")
