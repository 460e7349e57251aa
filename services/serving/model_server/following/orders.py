"""What was asked for through the API, kept over restarts in one file.

    {"deployed": {"wine": "models:/wine@champion"}, "unloaded": ["slow"]}

An unloaded name is not served, whatever else asks for it, until it is loaded again.
Methods that change something block on the disk: call them in a thread.
"""

import logging
import threading
import time
from pathlib import Path

import msgspec

from model_server.files import write_whole
from model_server.wanted import Wanted, WantedError, deployed

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    deployed: dict[str, str] = {}
    unloaded: list[str] = []


class Orders:
    """Orders of the API, on disk."""

    def __init__(self, file: Path) -> None:
        """A file that cannot be understood is kept beside, under another name. Raises OSError."""
        self._file = file
        self._changing = threading.Lock()
        self.deployed: dict[str, Wanted] = {}
        """Deployments by served name. Like `unloaded` replaced, never changed."""
        self.unloaded: frozenset[str] = frozenset()
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
            self.deployed = {name: deployed(name, uri) for name, uri in kept.deployed.items()}
            self.unloaded = frozenset(kept.unloaded)
        except FileNotFoundError:
            return
        except (msgspec.DecodeError, UnicodeDecodeError, WantedError) as error:
            aside = file.with_name(f"{file.name}.unreadable-{time.time_ns()}")
            file.rename(aside)
            log.error(
                "deployments made through the API are lost to this start",
                extra={"reason": str(error), "kept_as": aside.name},
            )

    def deploy(self, wanted: Wanted) -> None:
        """Also ends an unload: who deploys wants it served. Raises OSError, with nothing changed,
        as do the others."""
        with self._changing:
            self._write(self.deployed | {wanted.name: wanted}, self.unloaded - {wanted.name})

    def undo(self, name: str) -> None:
        """Forget the deployment, and an unload of it."""
        with self._changing:
            others = {key: wanted for key, wanted in self.deployed.items() if key != name}
            self._write(others, self.unloaded - {name})

    def unload(self, name: str) -> None:
        """Serve this name no more."""
        with self._changing:
            self._write(self.deployed, self.unloaded | {name})

    def load(self, name: str) -> None:
        """Undo an unload."""
        with self._changing:
            self._write(self.deployed, self.unloaded - {name})

    def _write(self, deployed: dict[str, Wanted], unloaded: frozenset[str]) -> None:
        kept = _Kept({name: wanted.text for name, wanted in deployed.items()}, sorted(unloaded))
        write_whole(self._file, msgspec.json.format(msgspec.json.encode(kept)))
        self.deployed, self.unloaded = deployed, unloaded
