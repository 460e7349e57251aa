"""The volume that a set passes through on its way: one folder for each part of a set.

bucket/      mirror of the artifacts; kept, so that the next backup fetches what is new
databases/   dumps
handover/    what the one-shot `secrets` has put there, or is to take from there

The file `unfinished-restore` names the snapshot that is being put in place; `secrets` calls it
`unstarted-restore` in the end, starts nothing before that, and then removes it.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from stack_backup.errors import RefusedError

LAST = "last-backup.json"
UNFINISHED, UNSTARTED = "unfinished-restore", "unstarted-restore"
BUCKET, DATABASES, HANDOVER = "bucket", "databases", "handover"
PARTS = [BUCKET, DATABASES, HANDOVER]
MLFLOW_DUMP = "mlflow.dump"
NEEDED = [f"{DATABASES}/{MLFLOW_DUMP}", f"{HANDOVER}/secrets/kek-passphrase"]
"""What makes a set of use."""


class Work:
    """The folders and files of the volume."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bucket, self.databases, self.handover = (root / part for part in PARTS)
        self.last = root / LAST
        self.fetched = root / "fetched-snapshot"
        self.unfinished = root / UNFINISHED

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for a command that is at work here still: its `make` may have been killed."""
        with (self.root / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("waiting for an earlier backup or restore, which is still at work")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def prepare(self) -> None:
        """Every folder is there and this user's: of files that another user's command left, only
        that one could set the times."""
        for folder in (self.bucket, self.databases):
            if folder.exists() and folder.stat().st_uid != os.geteuid():
                shutil.rmtree(folder)
        for folder in (self.bucket, self.databases, self.handover):
            folder.mkdir(mode=0o770, exist_ok=True)

    def tidy(self, *, handover: bool = True) -> None:
        """Leave the mirror alone: dumps and secrets lie in the repository, encrypted."""
        self.fetched.unlink(missing_ok=True)
        shutil.rmtree(self.databases, ignore_errors=True)
        if handover:
            # Whole at once: `secrets` may be reading it still, and must not take half of it.
            gone = self.root / f"{HANDOVER}.gone"
            shutil.rmtree(gone, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                self.handover.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    @contextlib.contextmanager
    def tidied(self, *, on_success: bool = True, handover: bool = True) -> Iterator[None]:
        """Tidy in the end, however it comes. handover: also what `secrets` takes from there after
        a success."""
        try:
            yield
        except BaseException:
            self.tidy()
            raise
        if on_success:
            self.tidy(handover=handover)

    def restoring(self) -> str:
        """The snapshot by which a restore has begun to replace what is here, if nothing has started
        since; "" for none."""
        files = [self.unfinished, self.root / UNSTARTED]
        return next((file.read_text() for file in files if file.exists()), "")

    def note_backup(self, identity: str) -> None:
        """Leave word of a good backup, which `secrets` brings to tracking's metrics."""
        self.last.unlink(missing_ok=True)  # it may be another user's
        self.last.write_text(json.dumps({"finished": int(time.time()), "snapshot": identity}))

    def begin_restore(self) -> None:
        """Note that what is here is being replaced."""
        self.unfinished.unlink(missing_ok=True)  # it may be another user's
        self.unfinished.write_text(self.fetched.read_text())

    def refuse_partial(self, files: set[str] | None = None) -> None:
        """Raises RefusedError if the set, or the one of these files, is not whole."""
        for name in NEEDED:
            if not ((self.root / name).is_file() if files is None else name in files):
                raise RefusedError(f"the set lacks {name}, without which it cannot be restored")

    def dumps(self) -> list[Path]:
        """The dumps in the order to restore them: MLflow's last."""
        return sorted(self.databases.glob("*.dump"))
