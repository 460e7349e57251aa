"""What the container does, command by command. All say in plain lines what they are at."""

import json
from collections.abc import Callable

from stack_backup import database, versions
from stack_backup.bucket import Bucket
from stack_backup.database import Databases
from stack_backup.errors import RefusedError, ToolError
from stack_backup.repository import COMPLETE, LACKING, Repository, Snapshot
from stack_backup.settings import Settings
from stack_backup.versions import Version
from stack_backup.work import BUCKET, DATABASES, HANDOVER, MLFLOW_DUMP, PARTS, Work


def backup(settings: Settings, shown: str, _: str) -> None:
    """One snapshot of everything. Dumps come first: artifacts are written before the version that
    points to them, so a bucket copied later has all that a dump names. The lock keeps away what
    deletes artifacts."""
    work, repository = Work(settings.work), Repository(settings, shown)
    databases = Databases(settings)
    with work.alone(), work.tidied(), databases.locked() as held:
        work.prepare()
        repository.open(create=True)
        for old in work.dumps():
            old.unlink()
        for name in databases.there():
            print(f"dumping the database {name}")
            databases.dump(name, work.databases / f"{name}.dump")
        work.refuse_partial()
        print("copying new artifacts from the bucket")
        Bucket(settings).fetch(work.bucket)
        known = versions.read(work.databases / MLFLOW_DUMP, settings.artifacts)
        lost = versions.lacking(known, versions.in_folder(work.bucket))
        held()
        print("writing the snapshot")
        identity = repository.back_up(work.root, PARTS, LACKING if lost else COMPLETE)
        repository.check()
        held()
        if not lost:
            repository.forget(settings.keep)
    elsewhere = _tell_of_elsewhere(known)
    if lost:
        raise RefusedError(
            f"{_list(lost)}: artifacts are gone from the bucket, so this snapshot lacks them too: "
            "delete such versions, or bring their artifacts back; older snapshots are all kept"
        )
    work.note_backup(identity)
    print(f"{len(known) - elsewhere} registered version(s), each with artifacts")


def verify(settings: Settings, shown: str, wanted: str) -> None:
    """Read a repository whole, and look that each version of a snapshot has its artifacts."""
    work, repository = Work(settings.work), Repository(settings, shown)
    with work.alone(), work.tidied():
        work.prepare()
        snapshot = _sound(repository, wanted)
        for one in repository.snapshots():
            print(one)
        files = repository.files(snapshot)
        work.refuse_partial(files)
        repository.restore(snapshot, DATABASES, work.databases)
        known = versions.read(work.databases / MLFLOW_DUMP, settings.artifacts)
    inside = f"{BUCKET}/"
    artifacts = {name.removeprefix(inside) for name in files if name.startswith(inside)}
    _refuse_lacking(known, versions.in_files(artifacts))
    _tell_of_elsewhere(known)
    print(
        f"good: {len(known)} registered version(s) and {len(artifacts)} artifact file(s) in "
        f"snapshot {snapshot.identity[:8]}"
    )


def fetch(settings: Settings, shown: str, wanted: str) -> None:
    """Read a repository whole, then lay a snapshot out on the volume. The stack is not touched."""
    work, repository = Work(settings.work), Repository(settings, shown)
    with work.alone(), work.tidied(on_success=False):
        work.prepare()
        snapshot = _sound(repository, wanted)
        print(f"fetching {snapshot}")
        for part, folder in (
            (DATABASES, work.databases),
            (HANDOVER, work.handover),
            (BUCKET, work.bucket),
        ):
            repository.restore(snapshot, part, folder)
        work.refuse_partial()
        known = versions.read(work.databases / MLFLOW_DUMP, settings.artifacts)
        has = versions.in_folder(work.bucket)
        if not snapshot.lacks:
            _refuse_lacking(known, has)
        elif lost := versions.lacking(known, has):
            print(f"note: the artifacts of {_list(lost)} were gone when this snapshot was made")
        work.fetched.write_text(snapshot.identity)


def holds(settings: Settings, _: str, __: str) -> None:
    """Print as JSON what is here, and the snapshot that a restore has not put in place yet."""
    unfinished = Work(settings.work).restoring()
    print(json.dumps({"databases": Databases(settings).holds(), "unfinished": unfinished}))


def compare(settings: Settings, _: str, __: str) -> None:
    """Print as JSON what the fetched set is and needs, and what it would take away."""
    work, databases = Work(settings.work), Databases(settings)
    missing = {path.stem for path in work.dumps()} - set(databases.there())
    files = (path for path in work.bucket.rglob("*") if path.is_file())
    mirrored = {str(path.relative_to(work.bucket)) for path in files}
    (revision,) = (
        row["version_num"] for row in database.rows(work.databases / MLFLOW_DUMP, "alembic_version")
    )
    comparison = {
        "snapshot": work.fetched.read_text(),
        "missing": sorted(missing),
        "revision": revision,
        "databases": databases.holds(),
        "objects": len(Bucket(settings).files() - mirrored),
    }
    print(json.dumps(comparison))


def apply(settings: Settings, _: str, __: str) -> None:
    """Put the fetched set in place. Up to the moment when a database is replaced, which happens
    wholly or not at all, what was there works as before."""
    work, databases, bucket = Work(settings.work), Databases(settings), Bucket(settings)
    with work.alone(), work.tidied(handover=False), databases.locked(alone=True):
        work.begin_restore()
        print("copying artifacts into the bucket")
        bucket.send(work.bucket)
        # MLflow's last: with it, the set is the one that counts.
        for dump in work.dumps():
            print(f"restoring the database {dump.stem}")
            try:
                databases.restore(dump.stem, dump)
            except ToolError as error:
                raise RefusedError(f"the database {dump.stem} is as it was: {error}") from None
        print("removing artifacts that the backup does not have")
        bucket.send_and_drop(work.bucket)


def tidy(settings: Settings, _: str, __: str) -> None:
    """Leave nothing of a fetched set that is not put in place after all."""
    work = Work(settings.work)
    with work.alone():
        work.tidy()


def recovery_key(settings: Settings, _: str, __: str) -> None:
    """Print the repository's password."""
    print((settings.secrets / "password").read_text())


ALL: dict[str, Callable[[Settings, str, str], None]] = {
    "backup": backup,
    "verify": verify,
    "fetch": fetch,
    "holds": holds,
    "compare": compare,
    "apply": apply,
    "tidy": tidy,
    "recovery-key": recovery_key,
}


def _sound(repository: Repository, wanted: str) -> Snapshot:
    """A snapshot of a repository of which every byte was read. Raises RefusedError."""
    repository.open()
    snapshot = repository.find(wanted)
    print("reading and checking every file of the backup", flush=True)
    repository.read_all()
    return snapshot


def _refuse_lacking(known: list[Version], has: Callable[[str], bool]) -> None:
    if lost := versions.lacking(known, has):
        raise RefusedError(f"the backup lacks the artifacts of {_list(lost)}")


def _tell_of_elsewhere(known: list[Version]) -> int:
    """How many versions have their artifacts elsewhere."""
    elsewhere = [one for one in known if one.artifacts is None]
    for one in elsewhere:
        print(f"note: {one} points to {one.location}, which is not in the backup")
    return len(elsewhere)


def _list(lost: list[Version]) -> str:
    shown = ", ".join(map(str, lost[:10]))
    return f"{shown} and {len(lost) - 10} more" if len(lost) > 10 else shown
