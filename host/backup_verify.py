"""`make backup-verify`: read a backup whole, and check that each version has its artifacts.

FROM=FOLDER or FROM=s3://BUCKET/FOLDER says where it is, else it is backups/.
SNAPSHOT=ID says which, else it is the newest that lacks nothing.
"""

from __future__ import annotations

from host import repository


def main() -> None:
    where = repository.place("FROM")
    repository.need_compose("backup-verify")
    repository.need_folder(where)
    with repository.alone():
        repository.build("secrets", "backup")
        repository.deliver()
        repository.run("verify", f"verifying {where.shown}", where, snapshot=repository.snapshot())
