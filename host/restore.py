"""`make restore`: put a backup back, into a new stack or, asked twice, over this one.

FROM=FOLDER or FROM=s3://BUCKET/FOLDER says where it is, else it is backups/.
SNAPSHOT=ID says which, else it is the newest that lacks nothing.
YES=1 OVER=NAME replaces the data of the stack called NAME without asking.

Up to the moment when the services stop nothing is changed. From then on nothing starts before the
same command has brought it to its end.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from host import compose, repository
from host.paths import ROOT
from host.terminal import StackError, run_loudly, say

STORES = ("postgres", "minio")  # what a restore writes to; the others stop meanwhile
PREPARED_BY = ("database", "bucket")
UNTOUCHED = "nothing was changed"
STOPPED = "nothing was changed, but the services are stopped: make up starts them"
CHANGING = (
    "the restore is not finished, and the services are stopped: the same command brings it to its "
    "end, and nothing starts before"
)
RESTORED = "all is restored: make up starts it"
KNOWN = "from tracking_server.schema import installed; print(*installed().known)"


def main() -> int:
    where = repository.place("FROM")
    repository.need_compose("restore")
    repository.need_folder(where)
    with repository.alone():
        state = UNTOUCHED
        try:
            asked = _look(where)
            state = STOPPED
            with _tidied():
                _stop(asked)
                state = CHANGING
                repository.run("apply", "restoring")
                repository.hand_over("adopt", "restoring secrets and deployments")
            state = RESTORED
            compose.up()
        except (StackError, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):
                say(f"\n{state}")
                raise
            raise StackError(f"{error}; {state}") from None
        return _check()


def _look(where: repository.Place) -> bool:
    """All that can be refused before anything is changed; whether the user agreed to lose data."""
    repository.build("secrets", "backup", "tracking", "serving", *PREPARED_BY)
    _start_stores()
    here = repository.ask("holds", "looking at what is here")
    asked = bool(here["databases"] and not here["unfinished"])
    if asked:
        _ask(here["databases"])
    repository.run("fetch", f"reading {where.shown}", where, snapshot=repository.snapshot())
    with _tidied():
        return _compare(here, asked)


def _compare(here: dict, asked: bool) -> bool:
    repository.hand_over("may-adopt", "comparing secrets")
    found = repository.ask("compare", "comparing it with what is here")
    if found["missing"]:
        raise StackError(
            f"the backup has the database {found['missing'][0]}, and this stack has none: turn on "
            "the overlay that it belongs to in .env (COMPOSE_FILE), and try again"
        )
    known = repository.quietly(
        [*repository.RUN, "--entrypoint", "python3", "tracking", "-c", KNOWN],
        "comparing the database's schema with this version's",
    )
    if found["revision"] not in known.split():
        raise StackError(
            f"the backup's database (schema {found['revision']}) was written by a newer version of "
            "this stack: restore it with that one"
        )
    # An interrupted restore of this snapshot was agreed to, or went into an empty stack.
    if asked or found["snapshot"] == here["unfinished"]:
        return True
    objects = f"{found['objects']} artifact file(s) that the backup does not have"
    if losing := found["databases"] or (objects if found["objects"] else ""):
        _ask(losing)
    return bool(losing)


def _start_stores() -> None:
    """PostgreSQL and the storage, with what gives them roles and the bucket; without what would
    not start where a restore was interrupted."""
    repository.deliver()
    try:
        command = [*compose.PLAIN, "up", "--detach", "--wait", "--no-deps", *STORES]
        repository.quietly(command, f"starting {' and '.join(STORES)}")
        for one in PREPARED_BY:
            repository.quietly([*repository.RUN, one], f"preparing {one}")
    except StackError as error:
        raise StackError(compose.explain_failure() or str(error)) from None


def _stop(asked: bool) -> None:
    """Stop what writes. Raises StackError if it wrote into what was empty."""
    others = [name for name in compose.running_services() if name not in STORES]
    if others:
        command = [*compose.PLAIN, "stop", *others]
        repository.quietly(command, f"stopping {', '.join(others)}")
        if not asked and (found := repository.ask("holds", "looking again")["databases"]):
            raise StackError(f"this stack was empty, and holds data now: {found}")


@contextlib.contextmanager
def _tidied() -> Iterator[None]:
    """What was fetched holds secrets: none of it stays where it is not put in place."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(StackError):
            repository.quietly([*repository.RUN, "backup", "tidy"], "removing what was fetched")
        raise


def _ask(losing: str) -> None:
    """Raises StackError unless the user says twice that what is here may go.

    Twice: by two answers, or by YES=1 and the stack's name in OVER. No slip says both.
    """
    name = compose.project()
    say(f"\nThis replaces all that the stack {name} holds: {losing}.")
    if os.environ.get("YES") == "1" and os.environ.get("OVER") == name:
        return
    if not sys.stdin.isatty() or os.environ.get("YES") == "1":
        raise StackError(f"this stack holds data: YES=1 OVER={name} replaces it")
    if input("Replace all of it? Answer yes: ").strip().lower() != "yes":
        raise StackError("not restored")
    if input(f"It cannot be undone. Type the stack's name, {name}: ").strip() != name:
        raise StackError("not restored")


def _check() -> int:
    """Load every registered version as serving would, and predict its input example."""
    command = [*repository.RUN, "serving", "check"]
    try:
        run_loudly(command, "loading every registered version", folder=ROOT)
    except StackError:
        raise StackError(
            "the backup is restored and served, but not every version can be loaded: see above"
        ) from None
    say("\nrestored; the stack is up")
    return 0
