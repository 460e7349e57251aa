"""The one-shot `secrets` on folders of a test."""

import dataclasses

from stack_secrets.__main__ import main
from stack_secrets.catalogue import READERS, SECRETS, VOLUMES
from stack_secrets.keeper import Keeper


class Stack:
    """A keeper on folders of a test, without the right to give files away."""

    def __init__(self, root):
        self.root = root
        self.owners = {}
        folders = [root / name for name in ("given", "master", "readers", "volumes")]
        self.given, self.master, self.readers, self.volumes = folders
        for folder in folders:
            folder.mkdir()
        for folder, names in ((self.readers, READERS), (self.volumes, VOLUMES)):
            for name in names:
                (folder / name).mkdir()
        self.keeper = Keeper(*folders, give=lambda path, user: self.owners.update({path: user}))

    def elsewhere(self, *parts):
        """The same stack with these parts on the team's own servers."""
        self.keeper = dataclasses.replace(self.keeper, external=frozenset(parts))

    def run(self, *arguments, **environ):
        return main(list(arguments), environ, self.keeper)

    def fill(self):
        """What PostgreSQL and the storage leave in their volumes."""
        (self.volumes / "postgres-data" / "pgdata").mkdir(exist_ok=True)
        (self.volumes / "minio-data" / "mlflow").mkdir(exist_ok=True)

    def values(self):
        return {name: (self.master / name).read_text() for name in SECRETS}

    def delivered(self):
        return {
            f"{reader}/{path.name}": path.read_text()
            for reader in READERS
            for path in (self.readers / reader).iterdir()
        }
