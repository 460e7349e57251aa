"""`make restore`: put a backup back, into a new stack or, asked twice, over this one.

FROM= says where it is, as for `make backup`; SNAPSHOT= which, the newest if it says nothing. Up to
the moment when the services stop nothing is changed, and from then on the same command goes on
where it was.
"""

from __future__ import annotations

import os
import sys

from stack import compose, repository
from stack.paths import ROOT
from stack.terminal import StackError, run_loudly, run_quietly, say

STORES = ("postgres", "minio")  # what a restore writes to; the others stop meanwhile
PREPARED_BY = ("database", "bucket")
KNOWN = "from tracking_server.schema import installed; print(*installed().known)"


def main() -> int:
    where = repository.place("FROM")
    repository.need_compose("restore")
    repository.need_folder(where)
    with repository.alone():
        changing = False
        try:
            _look(where)
            changing = True
            _replace()
        except (StackError, KeyboardInterrupt) as error:
            state = (
                "the restore is not finished, and the services are stopped: the same command goes "
                "on, or make up starts what is there now"
                if changing
                else "nothing was changed"
            )
            if isinstance(error, KeyboardInterrupt):
                say(f"\n{state}")
                raise
            raise StackError(f"{error}; {state}") from None
        return _check()


def _look(where: repository.Place) -> None:
    """All that can be refused before anything is changed."""
    repository.build("secrets", "backup", "tracking", "serving")
    _start_stores()
    here = repository.ask("holds", "looking at what is here")["databases"]
    if here:
        _ask(here)
    repository.run("fetch", f"reading {where.shown}", where, snapshot=repository.snapshot())
    repository.hand_over("may-adopt", "comparing secrets")
    found = repository.ask("compare", "comparing it with what is here")
    if found["missing"]:
        raise StackError(
            f"the backup has the database {found['missing'][0]}, and this stack has none: turn on "
            "the overlay that it belongs to in .env (COMPOSE_FILE), and try again"
        )
    known = run_quietly(
        [*repository.RUN, "--entrypoint", "python3", "tracking", "-c", KNOWN],
        "comparing the database's schema with this version's",
        folder=ROOT,
    )
    if found["revision"] not in known.split():
        raise StackError(
            f"the backup's database (schema {found['revision']}) was written by a newer version of "
            "this stack: restore it with that one"
        )
    if found["objects"] and not here:
        _ask(f"{found['objects']} artifact file(s) that the backup does not have")


def _start_stores() -> None:
    """PostgreSQL and the storage, with what gives them roles and the bucket."""
    there = compose.services()
    for one in PREPARED_BY:
        if one in there:
            command = [*compose.PLAIN, "run", "--rm", "-T", "--build", one]
            try:
                run_quietly(command, f"preparing {one}", folder=ROOT)
            except StackError as error:
                raise StackError(compose.explain_failure() or str(error)) from None


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


def _replace() -> None:
    others = [name for name in compose.running_services() if name not in STORES]
    if others:
        run_quietly([*compose.PLAIN, "stop", *others], f"stopping {', '.join(others)}", folder=ROOT)
    repository.run("apply", "restoring")
    repository.hand_over("adopt", "restoring secrets and deployments")
    compose.up()


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
