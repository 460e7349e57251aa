"""`make backup`: one consistent set of all data, while the stack runs.

TO=FOLDER or TO=s3://BUCKET/FOLDER says where to, else it is backups/.
"""

from __future__ import annotations

from host import compose, repository
from host.terminal import StackError, say


def main() -> None:
    where = repository.place("TO")
    repository.need_compose("backup")
    if not compose.running():
        raise StackError("nothing to back up: the stack does not run (make up)")
    with repository.alone():
        repository.make_folder(where)
        repository.build("secrets", "backup")
        repository.hand_over("collect", "collecting secrets and deployments")
        repository.run("backup", f"backing up to {where.shown}", where)
        repository.hand_over("record", "recording the time of this backup")
    say(f"\nmake backup-verify FROM={where.shown}   reads it whole")
    say(f"make restore FROM={where.shown}         puts it back")
    repository.tell_recovery_key()
