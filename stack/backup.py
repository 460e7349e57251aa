"""`make backup` and `make backup-verify`: one consistent set of all data, while the stack runs.

TO=FOLDER or TO=s3://BUCKET/FOLDER says where to, FROM= what to verify: else it is backups/.
"""

from __future__ import annotations

import os

from stack import compose, repository
from stack.alone import alone
from stack.terminal import StackError, say


def main() -> None:
    where = repository.place("TO")
    repository.need_compose("backup")
    if not compose.running():
        raise StackError("nothing to back up: the stack does not run (make up)")
    with alone(__file__, "backs up or restores"):
        repository.make_folder(where)
        repository.build()
        repository.hand_over("collect", "collecting secrets and deployments")
        repository.run("backup", f"backing up to {where.shown}", where)
        repository.hand_over("record", "recording the time of this backup")
    say(f"\nmake backup-verify FROM={where.shown}   reads it whole")
    say(f"make restore FROM={where.shown}         puts it back")
    repository.tell_recovery_key()


def verify() -> None:
    where = repository.place("FROM")
    repository.need_compose("backup-verify")
    repository.need_folder(where, "FROM")
    with alone(__file__, "backs up or restores"):
        repository.build()
        repository.deliver()
        repository.run("verify", f"verifying {where.shown}", where, snapshot=_snapshot())


def _snapshot() -> str:
    return os.environ.get("SNAPSHOT", "")
