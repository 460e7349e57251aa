"""Fetched versions on disk, so that a restart without the registry serves what it served.

    index.json                what was served last
    deployments.json          what was asked for through the API
    versions/<id>/model/      a version's files, put there whole by one rename
    versions/<id>/files       their names, as JSON; a model may write others beside them
    versions/<id>/digest      what they must add up to; its time is when the version was last needed
    incoming/<id>/            a download that is not finished; emptied at the start

<id> is the target's identity. What is not needed any more stays for a quick way back, until all of
it takes more than the limit: then the least recently needed goes first.
Methods block on the disk: call them in a thread.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from model_server.errors import LoadError
from model_server.files import write_whole
from model_server.following.orders import Orders
from model_server.models.target import Target

log = logging.getLogger(__name__)

MIB = 2**20


class CacheError(Exception):
    """The folder cannot be used; one line for the start's message."""


class Index(msgspec.Struct):
    """The record, as it is written."""

    registry: str | None = None
    """The tracking server that the entries came from."""
    served: dict[str, Target] = {}


class Cache:
    """Versions' files on disk, and the record of what is served."""

    def __init__(self, folder: Path, registry: str | None, limit: int) -> None:
        """Open it, for this process alone; `limit` is in bytes. Raises CacheError."""
        self._folder = folder
        self._registry = registry
        self._limit = limit
        self._sizes: dict[str, int] = {}
        self._over = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder / "incoming", ignore_errors=True)
            for part in ("incoming", "versions"):
                (folder / part).mkdir(exist_ok=True)
            self.orders = Orders(folder / "deployments.json")
        except BlockingIOError:
            raise CacheError(f"{folder}: another model-server uses it") from None
        except OSError as error:
            raise CacheError(f"{error.filename or folder}: {error.strerror}") from None
        self._index = self._read_index()

    def close(self) -> None:
        """Let another server have the folder."""
        self._lock.close()

    def served(self) -> dict[str, Target]:
        """What was served when the index was last written, by this registry's word."""
        return dict(self._index.served)

    def find(self, target: Target) -> Path | None:
        """The version's folder, checked; None when it is not here. What fails the check goes."""
        folder = self._version(target)
        model = folder / "model"
        try:
            expected = (folder / "digest").read_text(errors="replace")
        except FileNotFoundError:
            return None
        if model.is_dir() and digest(model, _fetched(folder)) == expected:
            return model
        log.warning(
            "damaged version dropped", extra={"model": target.name, "version": target.version}
        )
        self._drop(folder)
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
        files = _files(model)
        write_whole(model.parent / "files", msgspec.json.encode(files))
        write_whole(model.parent / "digest", digest(model, files).encode())
        folder = self._version(target)
        self._drop(folder)
        model.parent.rename(folder)
        return folder / "model"

    def record(self, served: dict[str, Target], coming: Collection[Target]) -> None:
        """Remember what is served now. What was served before and is on its way back in, as all
        is after a restart, stays on record until something takes its place."""
        before = self._index.served
        names = {target.name for target in coming} - served.keys()
        kept = {name: target for name, target in before.items() if name in names}
        self._index.served = kept | served
        write_whole(
            self._folder / "index.json", msgspec.json.format(msgspec.json.encode(self._index))
        )

    def trim(self, needed: Collection[str], *, to_nothing: bool = False) -> None:
        """Drop versions that are over the limit, or all that can go, but none whose identity is
        `needed` or on record."""
        on_record = {target.identity for target in self._index.served.values()}
        keep = {self._name(identity) for identity in {*needed, *on_record}}
        kept: list[Path] = []
        others: list[Path] = []
        for folder in (self._folder / "versions").iterdir():
            (kept if folder.name in keep else others).append(folder)
        for folder in kept:
            _touch(folder)
        total = sum(map(self._size, kept))
        self._warn_over(total)
        limit = 0 if to_nothing else self._limit
        for folder in sorted(others, key=_last_needed, reverse=True):
            total += self._size(folder)
            if total > limit:
                self._drop(folder)

    def _warn_over(self, needed: int) -> None:
        """Once, when what cannot go is more than the limit; a limit of 0 only says to keep
        nothing else."""
        over = needed > self._limit > 0
        if over and not self._over:
            log.warning(
                "what is served takes more than the cache's limit",
                extra={"mib": round(needed / MIB), "limit_mib": round(self._limit / MIB)},
            )
        self._over = over

    def _size(self, folder: Path) -> int:
        """Bytes; counted once, as files never change."""
        if folder.name not in self._sizes:
            files = (path for path in (folder / "model").rglob("*") if path.is_file())
            self._sizes[folder.name] = sum(path.stat().st_size for path in files)
        return self._sizes[folder.name]

    def _drop(self, folder: Path) -> None:
        self._sizes.pop(folder.name, None)
        shutil.rmtree(folder, ignore_errors=True)

    def _incoming(self, target: Target) -> Path:
        return self._folder / "incoming" / self._name(target.identity)

    def _version(self, target: Target) -> Path:
        return self._folder / "versions" / self._name(target.identity)

    @staticmethod
    def _name(identity: str) -> str:
        return identity[:32]

    def _read_index(self) -> Index:
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            data = (self._folder / "index.json").read_bytes()
            index = msgspec.json.decode(data, type=Index)
            if index.registry == self._registry:
                return index
        return Index(registry=self._registry)


def _touch(folder: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(folder / "digest")


def _last_needed(folder: Path) -> float:
    try:
        return (folder / "digest").stat().st_mtime
    except OSError:  # no version at all
        return 0


def _files(model: Path) -> list[str]:
    files = (path for path in model.rglob("*") if path.is_file())
    return sorted(path.relative_to(model).as_posix() for path in files)


def _fetched(folder: Path) -> list[str]:
    """Those that the version came with; all that are there for one that notes none."""
    try:
        return msgspec.json.decode((folder / "files").read_bytes(), type=list[str])
    except FileNotFoundError:
        return _files(folder / "model")
    except msgspec.DecodeError:
        return []


def digest(model: Path, files: Sequence[str]) -> str:
    """SHA-256 over the path, length and content of these files; one that is gone counts as such.
    Raises LoadError without a model."""
    if not model.is_dir():
        raise LoadError("there is no folder with a model")
    total = hashlib.sha256()
    for name in files:
        try:
            with (model / name).open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            content = "gone"
        total.update(f"{len(name)} {name} {content}\n".encode())
    return total.hexdigest()
