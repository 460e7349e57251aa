"""The restic repository: encrypted, deduplicated, every file named by the hash of its content."""

import json
from dataclasses import dataclass
from pathlib import Path

from stack_backup import tools
from stack_backup.errors import RefusedError, ToolError
from stack_backup.settings import Settings

NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12  # restic's exit statuses
PARTS = {"config", "data", "index", "keys", "locks", "snapshots"}
COMPLETE, LACKING = "complete", "lacking"


@dataclass(frozen=True)
class Snapshot:
    """identity: restic's short one. time: when it was begun. tags: COMPLETE, or LACKING for one
    that holds versions whose artifacts were gone already."""

    identity: str
    time: str
    tags: tuple[str, ...]


class Repository:
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
            self._run("cat", "config", "--no-lock")
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
        return summary["snapshot_id"]

    def check(self) -> None:
        """That all that the snapshots need is there, without reading the data again."""
        self._run("check", "--quiet", "--with-cache", "--retry-lock", "1m")

    def read_all(self) -> None:
        """Read every byte and compare it with its hash. Raises RefusedError."""
        try:
            # As it lies there, not as an earlier command has kept it; and leaving nothing behind.
            self._run("check", "--read-data", "--no-lock", "--no-cache", loud=True)
        except ToolError as error:
            if error.status in (NO_REPOSITORY, WRONG_PASSWORD):
                raise self._explained(error) from None
            for line in error.said.strip().splitlines()[:20]:
                print(line)
            raise RefusedError(f"{self.shown} is damaged: use another copy of it") from None

    def forget(self, keep: tuple[str, ...]) -> None:
        """Drop the snapshots that `keep` does not name, and the data that only they needed."""
        options = ["--quiet", "--prune", "--group-by", "", "--retry-lock", "1m"]
        self._run("forget", *options, *keep)

    def snapshots(self) -> list[Snapshot]:
        """Oldest first."""
        listed = json.loads(self._run("snapshots", "--json", "--no-lock", "--no-cache"))
        found = [
            Snapshot(
                one["short_id"], one["time"][:19].replace("T", " "), tuple(one.get("tags", ()))
            )
            for one in listed
        ]
        return sorted(found, key=lambda snapshot: snapshot.time)

    def find(self, wanted: str) -> Snapshot:
        """The snapshot `wanted`, the newest for "". Raises RefusedError."""
        found = [one for one in self.snapshots() if wanted.startswith(one.identity) or not wanted]
        if not found:
            what = f"no snapshot {wanted}" if wanted else "no snapshot"
            raise RefusedError(f"{self.shown} holds {what}")
        return found[-1]

    def files(self, snapshot: Snapshot, folder: str) -> set[str]:
        """Paths in a folder of a snapshot, relative to it."""
        options = ["--json", "--recursive", "--no-lock", "--no-cache"]
        said = self._run("ls", *options, snapshot.identity, f"/{folder}")
        entries = (json.loads(line) for line in said.splitlines())
        inside = f"/{folder}/"
        return {
            entry["path"].removeprefix(inside)
            for entry in entries
            if entry.get("type") == "file" and entry["path"].startswith(inside)
        }

    def restore(self, snapshot: Snapshot, folder: str, target: Path) -> None:
        """Make `target` equal to a folder of a snapshot, what it holds already included."""
        options = ["--quiet", "--no-lock", "--no-cache", "--delete", "--target", str(target)]
        self._run("restore", f"{snapshot.identity}:/{folder}", *options)

    def _create(self) -> None:
        folder = Path(self._settings.repository)
        if self._settings.repository.startswith("/"):
            strange = {path.name for path in folder.iterdir()} - PARTS
            if strange:
                raise RefusedError(
                    f"{self.shown} holds other files ({sorted(strange)[0]}) and no backup: "
                    "name an empty folder, or one that is not there yet"
                )
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
        if "permission denied" in error.said:
            return RefusedError(f"{self.shown} cannot be used by you: {error.said.splitlines()[0]}")
        return RefusedError(f"{self.shown}: {error}")

    def _run(self, *arguments: str, folder: Path | None = None, loud: bool = False) -> str:
        return tools.run("restic", *arguments, variables=self._variables, folder=folder, loud=loud)


def _address(settings: Settings) -> str:
    if not settings.repository.startswith("s3://"):
        return settings.repository
    place = settings.repository.removeprefix("s3://")
    return f"s3:{settings.repository_endpoint or 'https://s3.amazonaws.com'}/{place}"
