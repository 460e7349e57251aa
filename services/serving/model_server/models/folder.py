"""Folders of this machine that are served as they are, and whether they still are what they were.

A folder may appear late, be saved anew, or be a link that is switched. It counts as another version
when one of its files changed or went, or the link leads elsewhere. Files that come to those of a
version that works are the model's own doing: it may write beside them.
Functions block on the disk: call them in a thread.
"""

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

SAVED_LAST = frozenset(("requirements.txt", "conda.yaml", "python_env.yaml", "constraints.txt"))
"""What MLflow writes after MLmodel, when it has found out what a model requires: seconds later."""
SETTLED = 2
"""Seconds without a change after which one look is enough to take a folder for whole."""


@dataclass(frozen=True)
class Look:
    """What a folder held at one moment; nothing, where there is none."""

    place: str
    """Where links lead to."""
    files: dict[str, tuple[int, int]]
    """File by name: size and the time of the last change, in ns since 1970."""

    @property
    def identity(self) -> str:
        """A digest of what it saw."""
        content = json.dumps([self.place, sorted(self.files.items())])
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def is_settled(self) -> bool:
        """Whether nothing changed lately, so that it is hardly in the middle of being written."""
        last = max((changed for _, changed in self.files.values()), default=0)
        return abs(time.time() - last / 1e9) > SETTLED

    def is_within(self, later: "Look") -> bool:
        """Whether all that was there is unchanged; what came since does not matter to a model,
        unless MLflow was not done with saving it."""
        if "MLmodel" not in self.files or (later.files.keys() - self.files.keys()) & SAVED_LAST:
            return self == later
        return self.place == later.place and self.files.items() <= later.files.items()

    def rewritten_in(self, later: "Look") -> frozenset[str]:
        """Files of the same model that are others now."""
        changed = frozenset(
            name for name, one in self.files.items() if later.files.get(name) != one
        )
        is_same = self.place == later.place and "MLmodel" not in changed
        return changed if is_same else frozenset()

    def without(self, names: frozenset[str]) -> "Look":
        """The same without these files."""
        files = {name: one for name, one in self.files.items() if name not in names}
        return Look(self.place, files)


def look(folder: str | Path) -> Look:
    """Look at a folder. Blocks on the disk."""
    files = {}
    seen = set()
    for path, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(path)
        if place in seen:  # a link to a folder that it is in
            folders.clear()
            continue
        seen.add(place)
        for name in names:
            file = os.path.join(path, name)  # noqa: PTH118 - it is done at every look
            try:
                status = os.stat(file)  # noqa: PTH116
            except OSError:
                continue  # gone meanwhile, or a link to nothing
            files[os.path.relpath(file, folder)] = (status.st_size, status.st_mtime_ns)
    return Look(os.path.realpath(folder), files)
