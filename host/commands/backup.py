"""`make backup`: one consistent set of all data, while the stack runs.

TO=FOLDER or TO=s3://BUCKET/FOLDER says where to, else it is backups/.
"""

from __future__ import annotations

from host.docker import project, repository
from host.modes import choice
from host.user.options import Options
from host.user.terminal import CommandError, say


def main(options: Options) -> None:
    """Raises CommandError if nothing runs, or the place holds anything else."""
    where = repository.place("TO", options.to)
    choice.need_backups("backup")
    if not project.running():
        raise CommandError("nothing to back up: the stack does not run (make up)")
    with repository.alone():
        repository.make_folder(where)
        repository.build("secrets", "backup")
        repository.hand_over("collect", "collecting secrets and deployments")
        repository.run("backup", f"backing up to {where.shown}", where)
        repository.hand_over("record", "recording the time of this backup")
    say(f"\nmake backup-verify FROM={where.shown}   reads it whole")
    say(f"make restore FROM={where.shown}         puts it back")
    repository.tell_recovery_key()
