"""What an address names. Whatever two readers could take for different things is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tracking_server.settings import ARTIFACT_ROOT

PLACEHOLDERS = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's clients write where a prompt, which has no files, must have a source."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PATHS = ("mlflow-artifacts", "runs")


class UnsoundError(ValueError):
    """An address that means different things to different readers, or nothing; says why."""


@dataclass(frozen=True)
class Place:
    """A file or folder of the artifact store. path: below its root, without slashes around."""

    path: str

    @property
    def address(self) -> str:
        """What MLflow calls it."""
        return f"{ARTIFACT_ROOT}{self.path}"


@dataclass(frozen=True)
class Run:
    """Something among a run's artifacts. path: below them, "" for all."""

    run_id: str
    path: str


@dataclass(frozen=True)
class LoggedModel:
    """All files of a logged model."""

    model_id: str


@dataclass(frozen=True)
class Version:
    """A version of a registered model. which: its number, alias (`@NAME`), stage or `latest`."""

    name: str
    which: str


@dataclass(frozen=True)
class Elsewhere:
    """Storage that is not reached through the artifact store: a bucket's address, a folder of this
    machine, any other scheme."""

    address: str

    @property
    def on_disk(self) -> bool:
        """Whether it is a folder of this machine."""
        return self.address.startswith(("/", "file:"))


@dataclass(frozen=True)
class NoFiles:
    """A prompt's source."""


Meaning = Place | Run | LoggedModel | Version | Elsewhere | NoFiles


def parse(address: str) -> Meaning:
    """What an address names.

    Raises:
        UnsoundError: it can be read in several ways, or names nothing.
    """
    if address in PLACEHOLDERS:
        return NoFiles()
    if CONTROL.search(address) or address != address.strip():
        raise UnsoundError("it has control characters, or spaces around it")
    scheme, path = _split(address)
    if scheme not in (*PATHS, "models"):
        return Elsewhere(address)
    if not path.startswith("/") or path.startswith("//"):
        raise UnsoundError(f"expected {scheme}:/ and a path, without a host")
    if scheme == "models":
        return _model(path[1:])
    path = sound(path[1:].removesuffix("/"))
    if scheme == "mlflow-artifacts":
        return Place(path)
    run_id, _, inside = path.partition("/")
    return Run(run_id, inside)


def sound(path: str) -> str:
    """A path that every reader takes for the same file.

    Raises:
        UnsoundError: another reader may decode, resolve or cut it.
    """
    if CONTROL.search(path):
        raise UnsoundError("it has control characters")
    if any(sign in path for sign in "\\?#") or unquote(path) != path:
        raise UnsoundError("it has a backslash, ?, #, or something percent-encoded")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise UnsoundError("it has an empty part, . or .. in its path")
    return path


def _split(address: str) -> tuple[str, str]:
    """Scheme and rest; a scheme in capitals is another one."""
    match = SCHEME.match(address)
    return (match[1], address[match.end() :]) if match else ("", address)


def _model(path: str) -> Meaning:
    """Read it as MLflow does, which looks for names in its database alone: `NAME/VERSION`,
    `NAME/STAGE`, `NAME@ALIAS`, `MODEL_ID`."""
    if any(sign in path for sign in "\\?#"):
        raise UnsoundError("it has a backslash, ? or #")
    first, slash, rest = path.partition("/")
    if slash:
        if not first.strip() or not rest.strip() or "/" in rest or rest in (".", ".."):
            raise UnsoundError("expected models:/NAME/VERSION")
        return Version(first, rest)
    name, at, alias = first.rpartition("@")
    if at:
        if not name or not alias.strip():
            raise UnsoundError("expected models:/NAME@ALIAS")
        return Version(name, f"@{alias}")
    return LoggedModel(sound(first))
