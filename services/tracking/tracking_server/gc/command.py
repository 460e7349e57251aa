"""`tracking-server gc`: shows what a clean-up would delete, asks, deletes, reports."""

from __future__ import annotations

import sys
import time
from collections import Counter

from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tracking_server import patches
from tracking_server.artifacts.s3 import ProxiedS3
from tracking_server.backend import migrate, stores
from tracking_server.errors import RefusedError
from tracking_server.gc import finding, removal
from tracking_server.gc.age import Age
from tracking_server.gc.finding import EXPERIMENT, MODEL, RUN, Findings
from tracking_server.gc.places import Usage
from tracking_server.settings import ARTIFACT_ROOT, Settings

QUIET_SECONDS = 2
KEPT_SHOWN = 20


def run(settings: Settings, older_than: Age, *, dry_run: bool, yes: bool) -> None:
    """Delete for good what users deleted at least `older_than` ago.

    Raises:
        RefusedError: one line; what was not reported as deleted is still there.
    """
    migrate.check(settings)
    patches.register(patches.PROXIED_S3, ProxiedS3)
    store = _open(settings)
    try:
        findings = finding.find(
            store, settings.artifact_store, older_than.milliseconds, _Progress("looking")
        )
    except MlflowException as error:
        raise RefusedError(str(error).splitlines()[0]) from None
    _show(findings, older_than.text)
    if dry_run or not findings.items:
        return
    _ask(yes=yes)
    with stores.open_store(settings).cleaning():
        _delete(store, settings.artifact_store, findings)


def _open(settings: Settings) -> SqlAlchemyStore:
    return SqlAlchemyStore(settings.backend_store, ARTIFACT_ROOT)


def _show(findings: Findings, older_than: str) -> None:
    if findings.items:
        print(f"{'to delete':<16}{'how many':>10}{'files':>10}{'bytes':>18}")
        for kind in (RUN, MODEL, EXPERIMENT):
            items = [item for item in findings.items if item.kind == kind]
            usage = sum((item.usage for item in items), Usage())
            print(f"{kind + 's':<16}{len(items):>10}{usage.files:>10}{_bytes(usage.size):>18}")
        print(f"{'their traces':<16}{sum(item.traces for item in findings.items):>10}")
    else:
        print("nothing to delete")
    if findings.younger:
        print(f"younger than {older_than}: {findings.younger}")
    if findings.kept:
        print(f"kept, though deleted by users: {len(findings.kept)}")
    for kept in findings.kept[:KEPT_SHOWN]:
        print(f"  {kept.kind} {kept.id} ({kept.name}): {kept.reason}")
    if len(findings.kept) > KEPT_SHOWN:
        print(f"  and {len(findings.kept) - KEPT_SHOWN} more")
    sys.stdout.flush()


def _ask(*, yes: bool) -> None:
    """Raises RefusedError unless the user says yes, at the terminal or by --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            "nothing deleted: there is no terminal to ask at; --yes says yes (make gc YES=1)"
        )
    try:
        answer = input("Delete these for good? Answer yes: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise RefusedError("nothing deleted")


def _delete(store: SqlAlchemyStore, artifact_store: str, findings: Findings) -> None:
    progress = _Progress("deleting")
    done: Counter[str] = Counter()
    freed = Usage()
    passed_over = 0
    try:
        for number, item in enumerate(findings.items):
            progress(f"{number} of {len(findings.items)}, {_bytes(freed.size)} freed")
            if removal.remove(store, artifact_store, item):
                done[item.kind] += 1
                freed += item.usage
            else:
                passed_over += 1
    finally:
        counted = ", ".join(f"{done[kind]} {kind}s" for kind in (RUN, MODEL, EXPERIMENT))
        print(f"deleted {counted}; {_bytes(freed.size)} freed in {freed.files} files")
        if passed_over:
            print(f"{passed_over} are needed again since they were listed, and kept")
        sys.stdout.flush()


class _Progress:
    """Writes a line every few seconds, once something lasts."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + QUIET_SECONDS

    def __call__(self, detail: str) -> None:
        if time.monotonic() >= self._next:
            print(f"{self._what}: {detail}", file=sys.stderr, flush=True)
            self._next = time.monotonic() + QUIET_SECONDS


def _bytes(size: int) -> str:
    amount, units = float(size), iter(("KiB", "MiB", "GiB", "TiB"))
    unit = "B"
    while amount >= 1024 and (larger := next(units, None)):
        amount, unit = amount / 1024, larger
    return f"{size} B" if unit == "B" else f"{amount:,.1f} {unit}"
