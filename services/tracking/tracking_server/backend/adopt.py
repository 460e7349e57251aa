"""Artifacts that were moved into the artifact store, in the words of this server's clients.

An MLflow server that handed out its storage's own addresses (`s3://old-bucket/1/RUN/artifacts`)
has them in its database. Here clients reach artifacts through the server alone.
"""

from __future__ import annotations

import logging

import sqlalchemy
from sqlalchemy import text

from tracking_server.backend import migrate, stores
from tracking_server.backend.patience import Progress
from tracking_server.errors import RefusedError
from tracking_server.settings import ARTIFACT_ROOT, Settings

logger = logging.getLogger(__name__)

# Where MLflow keeps addresses of artifacts: {table: (columns, which rows)}.
COLUMNS = {
    "experiments": (("artifact_location",), ""),
    "runs": (("artifact_uri",), ""),
    "logged_models": (("artifact_location",), ""),
    "model_versions": (("source", "storage_location"), ""),
    "trace_tags": (("value",), "AND key = 'mlflow.artifactLocation'"),
}


def adopt(settings: Settings, root: str) -> None:
    """Rewrite every address below `root`, all or none, so that clients ask this server for it.

    root: what the addresses begin with: `s3://BUCKET[/PREFIX]`, a folder, or `file:` and a folder.

    Raises:
        RefusedError: `root` is empty or this server's own already, or no address begins with it.
    """
    root = root.rstrip("/")
    if not root or root.startswith(ARTIFACT_ROOT.rstrip("/")):
        raise RefusedError(f"expected what the old addresses begin with, found {root!r}")
    migrate.check(settings)
    store = stores.open_store(settings)
    with store.lock(Progress("waiting for a migration of this backend store")):
        # No backup before that is known: it would push out one that was made of something.
        if not _rewrite(settings.backend_store, f"{root}/", look=True):
            raise RefusedError(f"no address in the backend store begins with {root}/")
        if settings.backups is not None:
            logger.info(
                "backed up to %s",
                migrate.back_up(store, settings.backups, "mlflow-before-adopting"),
            )
        changed = _rewrite(settings.backend_store, f"{root}/")
    logger.info("%d addresses below %s are reached through this server now", changed, root)


def _rewrite(url: str, prefix: str, *, look: bool = False) -> int:
    """How many addresses are rewritten, or would be."""
    engine = sqlalchemy.create_engine(url)
    changed = 0
    with engine.connect() as connection:
        for table, (columns, which) in COLUMNS.items():
            for column in columns:
                # Names are constants; LIKE would read the `_` of a bucket's name as any character.
                statement = text(
                    f"UPDATE {table} SET {column} = :new || substr({column}, :rest) "  # noqa: S608
                    f"WHERE substr({column}, 1, :length) = :old {which}"
                )
                values = {"new": ARTIFACT_ROOT, "old": prefix, "length": len(prefix)}
                done = connection.execute(statement, {**values, "rest": len(prefix) + 1})
                changed += done.rowcount
        if not look:
            connection.commit()
    engine.dispose()
    return changed
