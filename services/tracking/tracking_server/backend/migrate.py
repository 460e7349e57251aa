"""Bring the backend store to the schema that this MLflow needs, once and under a lock."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from tracking_server import garbage
from tracking_server.backend import schema, stores
from tracking_server.backend.patience import Progress, patiently
from tracking_server.backend.stores import Database
from tracking_server.errors import RefusedError
from tracking_server.settings import ARTIFACT_ROOT, Settings

logger = logging.getLogger(__name__)

KEPT_BACKUPS = 5
"""How many of one database in one schema."""


def check(settings: Settings) -> None:
    """Refuse to serve unless the schema is the one that this MLflow needs.

    Opening MLflow's store would itself create or upgrade it, without lock or backup.
    """
    store, head = stores.open_store(settings), schema.installed().head
    refuse_unless(store, head, "the backend store's schema", settings.patience)


def refuse_unless(
    database: Database, head: str, what: str, patience: float, store: str = "backend store"
) -> None:
    """Raises RefusedError unless a database, in the end, has the schema `head`; `what` names that,
    and `store` the database."""
    revision = patiently(database.revision, patience, store)
    if revision != head:
        raise RefusedError(
            f"{what} is {revision or 'not there yet'}, this server needs {head}: "
            "run `tracking-server migrate` first (`docker compose up -d` does)"
        )


def migrate(settings: Settings) -> None:
    """Empty store: initialise it. Older schema: back up, upgrade. Newer: refuse.

    A store that is up to date is left alone, without importing MLflow, save for an index that it
    lacks.
    """
    target = schema.installed()
    store = stores.open_store(settings)
    if patiently(store.revision, settings.patience) == target.head and not store.unindexed():
        logger.info("the backend store's schema is up to date (%s)", target.head)
        return
    with store.lock(Progress("waiting for another migration of this backend store")):
        revision = store.revision()
        if revision == target.head:
            logger.info("the backend store's schema is up to date (%s)", target.head)
        elif revision is None:
            _initialise(store)
        elif revision in target.known:
            _upgrade(store, settings, revision, target.head)
        else:
            raise RefusedError(
                f"the backend store's schema {revision} is newer than this server's "
                f"{target.head}: run the newer version of the stack, or restore a backup that "
                "was made before the upgrade (`tracking-server restore FILE`)"
            )
        store.index()


def try_bucket(settings: Settings) -> None:
    """Refuse unless the artifact store's bucket is there and can be written to."""
    from tracking_server.artifacts.bucket import Bucket

    bucket = Bucket(settings, seconds=5)
    patiently(bucket.try_out, settings.patience, "artifact store")


def restore(settings: Settings, file: Path) -> None:
    """Replace everything in the backend store, or in the database of users, by what is in a
    backup of it, all or nothing."""
    if not file.is_file():
        raise RefusedError(f"{file}: there is no such backup")
    store, what = _of_backup(settings, file)
    patiently(store.revision, settings.patience, what)
    with store.lock(Progress(f"waiting for a migration of the {what}")):
        store.restore(file)
    logger.info("restored the %s from %s", what, file)


def back_up(store: Database, folder: Path, state: str) -> Path:
    """Back a whole database up into a folder, named after its state; the file.

    The oldest of the same state go, so that an upgrade that fails each time fills no disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for killed in folder.glob(f"{state}-*.partial"):
            killed.unlink(missing_ok=True)
        name = time.strftime(f"{state}-%Y%m%d-%H%M%S", time.gmtime())
        partial = folder / f"{name}.partial"
        store.back_up(partial)
        file = partial.rename(folder / f"{name}{store.suffix}")
        for older in sorted(folder.glob(f"{state}-*{store.suffix}"))[:-KEPT_BACKUPS]:
            older.unlink(missing_ok=True)
        return file
    except OSError as error:
        raise RefusedError(
            f"TRACKING_BACKUPS={folder}: {error.strerror}; nothing was changed"
        ) from None


def _of_backup(settings: Settings, file: Path) -> tuple[Database, str]:
    """The database that a backup is of, by the tables in it, and what it is called.

    Logins that someone kept in the same database as all else come with the backend store.
    """
    store = stores.open_store(settings)
    tables = store.tables_in(file)
    if {stores.VERSIONS, "experiments"} <= tables:
        return store, "backend store"
    if stores.VERSIONS_OF_LOGINS not in tables:
        raise RefusedError(
            f"nothing was changed: {file} is a backup of neither MLflow's data nor its logins"
        )
    if not settings.logins:
        raise RefusedError(
            f"nothing was changed: {file} holds logins, and there are none here: "
            "the team overlay has them (docs/team.md)"
        )
    return stores.open_logins(settings), "logins"


def _initialise(store: Database) -> None:
    # A first migration that was killed leaves tables of MLflow's first schema: going on is
    # right there, and wrong in a database that belongs to something else.
    tables = store.tables()
    if tables and "experiments" not in tables:
        raise RefusedError(
            f"the database of TRACKING_BACKEND_STORE holds tables that are not MLflow's "
            f"({', '.join(sorted(tables)[:3])}): give MLflow a database of its own"
        )
    logger.info("the backend store is empty: creating MLflow's tables")
    started = time.monotonic()
    with store.upgrading() as url:
        from mlflow.server.handlers import initialize_backend_stores

        # As `mlflow server` does before it starts workers; makes the Default experiment too.
        initialize_backend_stores(url, url, ARTIFACT_ROOT)
    logger.info("created in %.1f s", time.monotonic() - started)


def _upgrade(store: Database, settings: Settings, revision: str, head: str) -> None:
    if settings.backups is None:
        raise RefusedError(
            f"the backend store's schema {revision} must be upgraded to {head}: set "
            "TRACKING_BACKUPS to a folder for the backup that is made before"
        )
    backup = back_up(store, settings.backups, f"mlflow-{revision}")
    logger.info("backed up to %s; upgrading %s to %s", backup, revision, head)
    store.drop_indexes()
    started = time.monotonic()
    with store.upgrading() as url:
        from mlflow.db import commands

        garbage.look_for()
        try:
            commands.main(["upgrade", url], standalone_mode=False)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise RefusedError(
                f"the upgrade from {revision} to {head} failed and changed nothing, the backup "
                f"is {backup}: {reason}; once that is mended, `docker compose up -d` tries again"
            ) from error
    logger.info("upgraded in %.1f s", time.monotonic() - started)
