"""`make backup-verify`: read a backup whole, and check that each version has its artifacts.

FROM= says where it is, as for `make backup`; SNAPSHOT= which, the newest if it says nothing.
"""

from __future__ import annotations

from stack import repository


def main() -> None:
    where = repository.place("FROM")
    repository.need_compose("backup-verify")
    repository.need_folder(where)
    with repository.alone():
        repository.build("secrets", "backup")
        repository.deliver()
        repository.run("verify", f"verifying {where.shown}", where, snapshot=repository.snapshot())
