"""The one-shot `secrets` on folders of a test."""

import dataclasses

from stack_secrets.__main__ import main
from stack_secrets.catalogue import READERS, SECRETS, VOLUMES
from stack_secrets.keeper import Keeper

OWN = "x" * 20
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


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


def refusal(stack, capsys, *arguments, **environ):
    """The one line of a start that is refused, and that shows and changes nothing."""
    before = {path: path.read_bytes() for path in stack.root.rglob("*") if path.is_file()}
    assert stack.run(*arguments, **environ) == 1
    (line,) = capsys.readouterr().out.splitlines()
    after = {path: path.read_bytes() for path in stack.root.rglob("*") if path.is_file()}
    assert before.items() <= after.items(), "refused, but changed something"
    for value in before.values():
        assert len(value) < 12 or value.decode("utf-8", "replace").strip() not in line
    return line.removeprefix("refused: ")
