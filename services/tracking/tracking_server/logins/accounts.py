"""MLflow's own logins (mlflow.server.auth), on a database of their own.

Two users are the stack's: `admin`, and `serving`, as which the model server reads the registry.
Their passwords are what the secrets say, applied at each migration.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tracking_server import secret_files
from tracking_server.backend import schema, stores
from tracking_server.backend.migrate import back_up, refuse_unless
from tracking_server.backend.patience import Progress, patiently
from tracking_server.backend.stores import Database
from tracking_server.errors import RefusedError
from tracking_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

logger = logging.getLogger(__name__)

STORE = "database of logins"
ADMIN, SERVING = "admin", "serving"
PASSWORD_FILES = {ADMIN: "admin-password", SERVING: "serving-password"}
CACHE_SECONDS = 60
"""How long a worker believes a password that it has checked: checking takes 0.1 s of CPU."""
READ_BY_SERVING = ("registered_model", "experiment", "prompt")


def check(settings: Settings) -> None:
    """Refuse to serve unless the users' schema is the one that this MLflow needs, as for the
    backend store: MLflow would upgrade it at the start, without lock or backup."""
    database, head = stores.open_logins(settings), schema.logins().head
    refuse_unless(database, head, "the schema of TRACKING_LOGINS", settings.patience, STORE)


def migrate(settings: Settings) -> None:
    """Bring the users' database to this MLflow's schema, and the stack's two users to their
    passwords. What is right already is left alone, without importing MLflow."""
    target = schema.logins()
    database = stores.open_logins(settings)
    passwords = {
        user: secret_files.read(settings.secrets / file) for user, file in PASSWORD_FILES.items()
    }
    revision = patiently(database.revision, settings.patience, STORE)
    if revision == target.head and not _differing(database, passwords):
        logger.info("logins are up to date (%s)", target.head)
        return
    with database.lock(Progress("waiting for another migration of the logins")):
        revision = database.revision()
        if revision is not None and revision not in target.known:
            raise RefusedError(
                f"the schema {revision} of TRACKING_LOGINS is newer than this server's "
                f"{target.head}: run the newer version of the stack, or restore a backup that "
                "was made before the upgrade (`tracking-server restore FILE`)"
            )
        if revision not in (None, target.head):
            if settings.backups is None:
                raise RefusedError(
                    f"the schema {revision} of TRACKING_LOGINS must be upgraded: set "
                    "TRACKING_BACKUPS to a folder for the backup that is made before"
                )
            backup = back_up(database, settings.backups, f"logins-{revision}")
            logger.info("backed up to %s", backup)
        started = time.monotonic()
        with _store(settings) as store:  # which upgrades the schema
            for user in _differing(database, passwords):
                _settle(store, user, passwords[user])
        logger.info("logins are ready (%.1f s)", time.monotonic() - started)


def build(settings: Settings) -> FastAPI:
    """Make MLflow's application with logins. It is as MLflow has it, not closed yet."""
    with _configured(settings):
        from mlflow.server import auth

    app: FastAPI = auth.create_app()
    return app


def guard(app: FastAPI) -> None:
    """Let nobody into the application that `build` has made without a login that is right."""
    from mlflow.server import auth

    from tracking_server.logins.checking import MlflowLogins
    from tracking_server.logins.throttle import Throttle

    app.add_middleware(Throttle, read_only=SERVING, logins=MlflowLogins(auth))


def after_fork() -> None:
    """Let go of the connection that MLflow opened before the fork, without closing the parent's."""
    from mlflow.server import auth

    auth.store.engine.dispose(close=False)


@contextmanager
def users(settings: Settings) -> Iterator[SqlAlchemyStore]:
    """MLflow's store of users and permissions, whose schema must be there.

    Raises:
        RefusedError: there are no logins here, or MLflow refuses what is asked of the store.
    """
    if not settings.logins:
        raise RefusedError("there are no logins here: the team overlay has them (docs/team.md)")
    check(settings)
    from mlflow.exceptions import MlflowException

    with _store(settings) as store:
        try:
            yield store
        except MlflowException as error:
            raise RefusedError(error.message.splitlines()[0]) from None


@contextmanager
def _store(settings: Settings) -> Iterator[SqlAlchemyStore]:
    with _configured(settings):
        from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore()
    store.init_db(settings.logins)
    try:
        yield store
    finally:
        store.engine.dispose()


@contextmanager
def _configured(settings: Settings) -> Iterator[None]:
    """The file that MLflow reads when its auth module is imported, and never again. It holds no
    secret: libpq finds the database's password by itself, and `migrate` has made the admin."""
    content = {
        "default_permission": settings.default_permission,
        "database_uri": settings.logins,
        "admin_username": ADMIN,
        "auth_cache_ttl_seconds": CACHE_SECONDS,
    }
    lines = [f"{name} = {str(value).replace('%', '%%')}" for name, value in content.items()]
    with tempfile.TemporaryDirectory(prefix="logins-") as folder, warnings.catch_warnings():
        # MLflow's own use of a deprecated module is nothing that an operator can change.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        file = Path(folder, "auth.ini")
        file.touch(0o600)
        file.write_text("\n".join(["[mlflow]", *lines, ""]))
        os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(file)
        yield


def _differing(database: Database, passwords: dict[str, str]) -> list[str]:
    """The stack's users that are missing, or have another password."""
    from werkzeug.security import check_password_hash

    hashes = dict(database.rows("SELECT username, password_hash FROM users"))
    return [
        user
        for user, password in passwords.items()
        if user not in hashes or not check_password_hash(hashes[user], password)
    ]


def _settle(store: SqlAlchemyStore, user: str, password: str) -> None:
    if store.has_user(user):
        store.update_user(user, password=password)
        logger.info("user %s has the password of the secrets now", user)
        return
    store.create_user(user, password, is_admin=user == ADMIN)
    if user == SERVING:
        # Whatever others may do by default, and whoever made the model.
        for kind in READ_BY_SERVING:
            store.grant_user_permission(user, kind, "*", "READ")
    logger.info("made user %s", user)
