"""`make restore`: put a backup back, into a new stack or, asked twice, over this one.

FROM=FOLDER or FROM=s3://BUCKET/FOLDER says where it is, else it is backups/.
SNAPSHOT=ID says which, else it is the newest that lacks nothing.
YES=1 OVER=NAME replaces the data of the stack called NAME without asking.

Up to the moment when the services stop nothing is changed. From then on nothing starts before the
same command has brought it to its end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from host.docker import client, project, repository
from host.modes import choice, compose
from host.user import settings
from host.user.options import Options
from host.user.terminal import CommandError, say

STORES = ("postgres", "minio")  # what a restore writes to; the others stop meanwhile
PREPARED_BY = ("database", "bucket")
UNTOUCHED = "nothing was changed"
STOPPED = "nothing was changed, but the services are stopped: make up starts them"
CHANGING = (
    "the restore is not finished, and the services are stopped: the same command brings it to its "
    "end, and nothing starts before"
)
RESTORED = "all is restored: make up starts it"
KNOWN = "from tracking_server.backend.schema import installed; print(*installed().known)"


def main(options: Options) -> int:
    """Raises CommandError, which says what state the stack is in."""
    where = repository.place("FROM", options.from_)
    choice.need_backups("restore")
    repository.need_folder(where)
    with repository.alone():
        state = UNTOUCHED
        try:
            asked = _look(where, options)
            state = STOPPED
            with _tidied():
                _stop(asked)
                state = CHANGING
                repository.run("apply", "restoring")
                repository.hand_over("adopt", "restoring secrets and deployments")
            state = RESTORED
            compose.up(settings.read(), options)
        except (CommandError, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):
                say(f"\n{state}")
                raise
            raise CommandError(f"{error}; {state}") from None
        return _check()


def _look(where: repository.Place, options: Options) -> bool:
    """All that can be refused before anything is changed; whether the user agreed to lose data."""
    repository.build("secrets", "postgres", "backup", "tracking", "serving", *PREPARED_BY)
    _start_stores()
    here = repository.ask("holds", "looking at what is here")
    asked = bool(here["databases"] and not here["unfinished"])
    if asked:
        _ask(here["databases"], options)
    repository.run("fetch", f"reading {where.shown}", where, snapshot=options.snapshot)
    with _tidied():
        return _compare(here, asked, options)


def _compare(here: dict[str, Any], asked: bool, options: Options) -> bool:
    repository.hand_over("may-adopt", "comparing secrets")
    other = repository.ask("compare", "comparing it with what is here")
    if other["missing"]:
        raise CommandError(
            f"the backup has the database {other['missing'][0]}, and this stack has none: turn on "
            "the overlay that it belongs to in .env (COMPOSE_FILE), and try again"
        )
    known = client.do(
        [*repository.RUN, "--entrypoint", "python3", "tracking", "-c", KNOWN],
        "comparing the database's schema with this version's",
    )
    if other["revision"] not in known.split():
        raise CommandError(
            f"the backup's database (schema {other['revision']}) was written by a newer version of "
            "this stack: restore it with that one"
        )
    # An interrupted restore of this snapshot was agreed to, or went into an empty stack.
    if asked or (other["snapshot"] == here["unfinished"] and not _writing()):
        return True
    objects = f"{other['objects']} artifact file(s) that the backup does not have"
    if losing := other["databases"] or (objects if other["objects"] else ""):
        _ask(losing, options)
    return bool(losing)


def _start_stores() -> None:
    """PostgreSQL and the storage, with what gives them roles and the bucket; without what would
    not start where a restore was interrupted."""
    repository.deliver()
    try:
        command = [*project.PLAIN, "up", "--detach", "--wait", "--no-deps", *STORES]
        client.do(command, f"starting {' and '.join(STORES)}")
        for one in PREPARED_BY:
            client.do([*repository.RUN, one], f"preparing {one}")
    except CommandError as error:
        raise CommandError(project.explain_failure() or str(error)) from None


def _stop(asked: bool) -> None:
    """Stop what writes. Raises CommandError if it wrote into what was empty."""
    if others := _writing():
        command = [*project.PLAIN, "stop", *others]
        client.do(command, f"stopping {', '.join(others)}")
        if not asked and (data := repository.ask("holds", "looking again")["databases"]):
            raise CommandError(f"this stack was empty, and holds data now: {data}")


def _writing() -> list[str]:
    """What runs besides the stores."""
    return [name for name in project.running_services() if name not in STORES]


@contextlib.contextmanager
def _tidied() -> Iterator[None]:
    """What was fetched holds secrets: none of it stays where it is not put in place."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(CommandError):
            client.do([*repository.RUN, "backup", "tidy"], "removing what was fetched")
        raise


def _ask(losing: str, options: Options) -> None:
    """Raises CommandError unless the user says twice that what is here may go.

    Twice: by two answers, or by YES=1 and the stack's name in OVER. No slip says both.
    """
    name = project.name()
    say(f"\nThis replaces all that the stack {name} holds: {losing}.")
    if options.yes and options.over == name:
        return
    if not sys.stdin.isatty() or options.yes:
        raise CommandError(f"this stack holds data: YES=1 OVER={name} replaces it")
    if input("Replace all of it? Answer yes: ").strip().lower() != "yes":
        raise CommandError("not restored")
    if input(f"It cannot be undone. Type the stack's name, {name}: ").strip() != name:
        raise CommandError("not restored")


def _check() -> int:
    """Load every registered version as serving would, and predict its input example."""
    command = [*repository.RUN, "serving", "check"]
    try:
        client.do(command, "loading every registered version", aloud=True)
    except CommandError as error:
        counts = str(error).rpartition(": ")[2]  # what it said last
        raise CommandError(f"the backup is restored, and the stack is up, but: {counts}") from None
    say("\nrestored; the stack is up")
    return 0
