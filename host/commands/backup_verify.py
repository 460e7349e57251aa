"""`make backup-verify`: read a backup whole, and check that each version has its artifacts.

FROM=FOLDER or FROM=s3://BUCKET/FOLDER says where it is, else it is backups/.
SNAPSHOT=ID says which, else it is the newest that lacks nothing.
"""

from __future__ import annotations

from host.docker import repository
from host.modes import choice
from host.user.options import Options


def main(options: Options) -> None:
    """Raises CommandError if something is missing or damaged."""
    where = repository.place("FROM", options.from_)
    choice.need_backups("backup-verify")
    repository.need_folder(where)
    with repository.alone():
        repository.build("secrets", "backup")
        repository.deliver()
        repository.run("verify", f"verifying {where.shown}", where, snapshot=options.snapshot)
