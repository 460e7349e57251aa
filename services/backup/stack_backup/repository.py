"""The restic repository: encrypted, deduplicated, every file named by the hash of its content."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack_backup import tools
from stack_backup.errors import RefusedError, ToolError
from stack_backup.settings import Settings

NO_REPOSITORY, WRONG_PASSWORD = 10, 12  # restic's exit statuses
DAMAGED = re.compile(r"is damaged|invalid data returned|repository contains errors|ciphertext ver")
RETRIED = re.compile(r"returned error, retrying after [^:]*: (.*)")
PATIENCE = 30.0  # seconds; restic itself asks a server for 15 minutes, saying nothing
COMPLETE, LACKING = "complete", "lacking"


@dataclass(frozen=True)
class Snapshot:
    """identity: 64 hex digits, of which 8 are shown. time: when it was begun. lacks: it holds
    versions whose artifacts were gone already."""

    identity: str
    time: str
    lacks: bool = False

    def __str__(self) -> str:
        note = " (lacks artifacts that were gone)" if self.lacks else ""
        return f"snapshot {self.identity[:8]} of {self.time} UTC{note}"


class Repository:
    """One repository, by its address and password."""

    def __init__(self, settings: Settings, shown: str) -> None:
        """shown: the place as the user named it."""
        self._settings = settings
        self.shown = shown
        self._variables = {
            "RESTIC_REPOSITORY": _address(settings),
            "RESTIC_PASSWORD_FILE": str(settings.secrets / "password"),
            "RESTIC_CACHE_DIR": str(settings.work / "cache"),
            "RESTIC_PROGRESS_FPS": "0.1",
            "AWS_SHARED_CREDENTIALS_FILE": str(settings.secrets / "backup-s3.ini"),
            "AWS_DEFAULT_REGION": settings.repository_region or "us-east-1",
            "HOME": "/tmp",  # noqa: S108 - the container's own
        }

    def open(self, *, create: bool = False) -> None:
        """See that it is one and that our key opens it; with `create`, make it where nothing is,
        and take away the locks of commands that were killed.

        Raises RefusedError.
        """
        try:
            self._run("cat", "config", "--no-lock", patience=PATIENCE)
        except ToolError as error:
            if error.status != NO_REPOSITORY:
                raise self._explained(error) from None
            if not create:
                raise RefusedError(f"{self.shown} holds no backup") from None
            self._create()
        if create:
            self._run("unlock")

    def back_up(self, folder: Path, parts: list[str], tag: str) -> str:
        """One snapshot of the `parts` of `folder`; its identity. A file that cannot be read fails
        it."""
        options = ["--json", "--quiet", "--host", "mlflow-stack", "--group-by", "host"]
        said = self._run("backup", *options, "--tag", tag, *parts, folder=folder)
        summary = json.loads(said.strip().splitlines()[-1])
        added = summary["data_added_packed"] / 2**20
        total = summary["total_bytes_processed"] / 2**20
        print(f"snapshot {summary['snapshot_id'][:8]}: {total:.1f} MiB, {added:.1f} MiB of it new")
        identity: str = summary["snapshot_id"]
        return identity

    def check(self) -> None:
        """See that all that the snapshots need is there, without reading the data again."""
        self._run("check", "--quiet", "--with-cache", "--retry-lock", "1m")

    def read_all(self) -> None:
        """Read every byte and compare it with its hash. Raises RefusedError."""
        try:
            # As it lies there, not as an earlier command has kept it; and leaving nothing behind.
            self._run("check", "--read-data", "--no-lock", "--no-cache", loud=True)
        except ToolError as error:
            for line in error.said.strip().splitlines()[:20]:
                print(line)
            self.open()  # a server that is gone meanwhile looks like damage
            raise self._explained(error) from None

    def forget(self, keep: tuple[str, ...]) -> None:
        """Drop the good snapshots that `keep` does not name, those that lack something but for
        the last, and the data that only they needed."""
        options = ["--quiet", "--group-by", "", "--retry-lock", "1m"]
        self._run("forget", *options, "--tag", COMPLETE, *keep)
        self._run("forget", *options, "--tag", LACKING, "--keep-last", "1", "--prune")

    def snapshots(self) -> list[Snapshot]:
        """Oldest first. Raises RefusedError."""
        try:
            listed = json.loads(self._run("snapshots", "--json", "--no-lock", "--no-cache"))
        except ToolError as error:
            raise self._explained(error) from None
        snapshots = [
            Snapshot(one["id"], one["time"][:19].replace("T", " "), LACKING in one.get("tags", ()))
            for one in sorted(listed, key=lambda one: one["time"])
        ]
        if not snapshots:
            self.read_all()  # restic leaves out the damaged ones
            raise RefusedError(f"{self.shown} holds no snapshot")
        return snapshots

    def find(self, wanted: str) -> Snapshot:
        """The snapshot that begins with `wanted`; for "" the newest that lacks nothing, if there
        is one. Raises RefusedError."""
        there = self.snapshots()
        if not wanted:
            good = [one for one in there if not one.lacks] or there
            if good[-1] != there[-1]:
                newer = there[-1].identity[:8]
                print(f"note: a newer one is {there[-1]}: SNAPSHOT={newer} takes it")
            return good[-1]
        fitting = [one for one in there if one.identity.startswith(wanted)]
        if len(fitting) != 1:
            for one in fitting or there:
                print(one)
            what = "more than one" if fitting else "none"
            raise RefusedError(f"SNAPSHOT={wanted}: {what} of {self.shown} begins so; see above")
        return fitting[0]

    def files(self, snapshot: Snapshot) -> set[str]:
        """Paths of all files in a snapshot."""
        options = ["--json", "--recursive", "--no-lock", "--no-cache"]
        said = self._run("ls", *options, snapshot.identity)
        entries = (json.loads(line) for line in said.splitlines())
        return {entry["path"].strip("/") for entry in entries if entry.get("type") == "file"}

    def restore(self, snapshot: Snapshot, folder: str, target: Path) -> None:
        """Make `target` equal to a folder of a snapshot, what it holds already included."""
        options = ["--quiet", "--no-lock", "--no-cache", "--delete", "--target", str(target)]
        self._run("restore", f"{snapshot.identity}:/{folder}", *options)

    def _create(self) -> None:
        """Make one in a folder of which `make backup` has seen that it is empty."""
        try:
            self._run("init", "--quiet")
        except ToolError as error:
            raise self._explained(error) from None
        print(f"new repository in {self.shown}")

    def _explained(self, error: ToolError) -> RefusedError:
        if error.status == WRONG_PASSWORD:
            return RefusedError(
                f"{self.shown} was made with another recovery key: put that one into "
                "secrets/backup-password"
            )
        for line in error.said.splitlines():
            if "permission denied" in line:
                return RefusedError(f"{self.shown} cannot be used by you: {line.strip()}")
        if DAMAGED.search(error.said):
            return RefusedError(f"{self.shown} is damaged: use another copy of it")
        if retried := RETRIED.findall(error.said):
            return RefusedError(f"{self.shown} cannot be reached: {retried[-1]}")
        fatal = re.search(r"^Fatal: (.*)", error.said, re.MULTILINE)  # where it is may follow
        return RefusedError(f"{self.shown}: {fatal[1] if fatal else error}")

    def _run(self, *arguments: str, **options: Any) -> str:
        return tools.run("restic", *arguments, variables=self._variables, **options)


def _address(settings: Settings) -> str:
    if not settings.repository.startswith("s3://"):
        return settings.repository
    place = settings.repository.removeprefix("s3://")
    return f"s3:{settings.repository_endpoint or 'https://s3.amazonaws.com'}/{place}"
