"""The volume that a set passes through on its way: one folder for each part of a set.

bucket/      mirror of the artifacts; kept, so that the next backup fetches what is new
databases/   dumps
handover/    what the one-shot `secrets` has put there, or is to take from there
"""

import os
import shutil
from pathlib import Path

BUCKET, DATABASES, HANDOVER = "bucket", "databases", "handover"
PARTS = [BUCKET, DATABASES, HANDOVER]


class Work:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.bucket, self.databases, self.handover = (root / part for part in PARTS)
        self.last = root / "last-backup.json"

    def prepare(self) -> None:
        """Every folder is there and this user's: of files that another user's command left, only
        that one could set the times."""
        for folder in (self.bucket, self.databases):
            if folder.exists() and folder.stat().st_uid != os.geteuid():
                shutil.rmtree(folder)
        for folder in (self.bucket, self.databases, self.handover):
            folder.mkdir(mode=0o770, exist_ok=True)

    def tidy(self) -> None:
        """Leave the mirror alone: dumps and secrets lie in the repository, encrypted."""
        for folder in (self.databases, self.handover):
            shutil.rmtree(folder, ignore_errors=True)

    def dumps(self) -> list[Path]:
        """In the order to restore them: MLflow's last."""
        return sorted(self.databases.glob("*.dump"))
