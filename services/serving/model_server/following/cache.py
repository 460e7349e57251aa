"""Fetched versions on disk, so that a restart without the registry serves what it served.

    index.json                what was served last, and what before it
    versions/<id>/model/      a version's files, put there whole by one rename
    versions/<id>/digest      what they must add up to
    incoming/<id>/            a download that is not finished; emptied at the start

<id> is the target's identity. Kept is what is served or coming and, for each such name, the version
before it.
Methods block on the disk: call them in a thread.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from pathlib import Path

import msgspec

from model_server.errors import LoadError
from model_server.following.registry import Target

log = logging.getLogger(__name__)


class CacheError(Exception):
    """The folder cannot be used; one line for the start's message."""


class Index(msgspec.Struct):
    registry: str | None = None
    """The tracking server that the entries came from."""
    served: dict[str, Target] = {}
    previous: dict[str, Target] = {}


class Cache:
    def __init__(self, folder: Path, registry: str | None) -> None:
        """Open it, for this process alone. Raises CacheError."""
        self._folder = folder
        self._registry = registry
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder / "incoming", ignore_errors=True)
            for part in ("incoming", "versions"):
                (folder / part).mkdir(exist_ok=True)
        except BlockingIOError:
            raise CacheError(f"{folder}: another model-server uses it") from None
        except OSError as error:
            raise CacheError(f"{folder}: {error.strerror}") from None
        self._index = self._read_index()

    def close(self) -> None:
        self._lock.close()

    def served(self) -> dict[str, Target]:
        """What was served when the index was last written, by this registry's word."""
        return dict(self._index.served)

    def find(self, target: Target) -> Path | None:
        """The version's folder, checked; None when it is not here. What fails the check goes."""
        folder = self._version(target)
        model = folder / "model"
        try:
            expected = (folder / "digest").read_text()
        except FileNotFoundError:
            return None
        if digest(model) == expected:
            return model
        log.warning(
            "damaged version dropped", extra={"model": target.name, "version": target.version}
        )
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def incoming(self, target: Target) -> Path:
        """Where to download a version to, before `keep`."""
        self.clear_incoming(target)
        folder = self._incoming(target)
        folder.mkdir()
        return folder / "model"

    def clear_incoming(self, target: Target) -> None:
        """Drop what there is of a download that was not kept."""
        shutil.rmtree(self._incoming(target), ignore_errors=True)

    def keep(self, target: Target, model: Path) -> Path:
        """Move a finished download into its place."""
        with (model.parent / "digest").open("w") as file:
            file.write(digest(model))
            file.flush()
            os.fsync(file.fileno())
        folder = self._version(target)
        shutil.rmtree(folder, ignore_errors=True)
        model.parent.rename(folder)
        return folder / "model"

    def record(self, served: dict[str, Target], coming: list[Target]) -> None:
        """Remember what is served now, and drop versions that nothing needs any more; `coming`
        are on their way in."""
        index = self._index
        for name, target in index.served.items():
            now = served.get(name)
            if now is None or now.identity != target.identity:
                index.previous[name] = target
        current = served.keys() | {target.name for target in coming}
        index.previous = {n: t for n, t in index.previous.items() if n in current}
        index.served = dict(served)
        temporary = self._folder / "index.json.new"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(index)))
        temporary.replace(self._folder / "index.json")
        needed = {
            self._version(target).name
            for target in (*index.served.values(), *index.previous.values(), *coming)
        }
        for folder in (self._folder / "versions").iterdir():
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _incoming(self, target: Target) -> Path:
        return self._folder / "incoming" / target.identity[:32]

    def _version(self, target: Target) -> Path:
        return self._folder / "versions" / target.identity[:32]

    def _read_index(self) -> Index:
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            data = (self._folder / "index.json").read_bytes()
            index = msgspec.json.decode(data, type=Index)
            if index.registry == self._registry:
                return index
        return Index(registry=self._registry)


def digest(model: Path) -> str:
    """SHA-256 over every file's path, length and content. Raises LoadError without a model."""
    if not model.is_dir():
        raise LoadError("there is no folder with a model")
    total = hashlib.sha256()
    for file in sorted(path for path in model.rglob("*") if path.is_file()):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        name = file.relative_to(model).as_posix()
        total.update(f"{len(name)} {name} {content}\n".encode())
    return total.hexdigest()
