"""How many connections to PostgreSQL each worker may open: its share of what the server allows.

Requests wait for a thread, and each thread that runs finds its connections: MLflow's pools open
what they need, since a full one can lock up (MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW).
"""

from __future__ import annotations

from typing import NamedTuple

from tracking_server.backend import stores
from tracking_server.backend.patience import patiently
from tracking_server.errors import RefusedError
from tracking_server.settings import Settings

ALLOWED = """
SELECT least(
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
  nullif(rolconnlimit, -1), nullif(datconnlimit, -1)
) FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()
"""
LEFT = 4
"""One part in so many is left to others: backups, migrations, a look from outside."""
A_THREAD = 2
"""Connections that a request may hold at one time."""
ENGINES = 4
"""Pools of a worker: MLflow's for runs, for models and for jobs, and that of logins."""
OWN = 8
"""The fast path's, and those of questions whether all is well."""
LEAST = OWN + ENGINES + 4 * A_THREAD


class Share(NamedTuple):
    """What a worker gets. threads: of requests; background: of those that wait for none of these;
    pool: connections that each engine keeps while nobody needs them."""

    threads: int
    background: int
    pool: int


WITHOUT_LIMIT = Share(40, 8, 5)
"""As AnyIO and SQLAlchemy have it."""


def share(settings: Settings) -> Share:
    """That of one of these settings' workers.

    Raises:
        RefusedError: PostgreSQL allows too few.
    """
    if not settings.on_postgres:
        return WITHOUT_LIMIT
    database = stores.open_store(settings)
    allowed = int(patiently(lambda: database.rows(ALLOWED), settings.patience)[0][0])
    return of(allowed, settings.workers)


def of(allowed: int, workers: int) -> Share:
    """One of that many shares."""
    each = (allowed - allowed // LEFT) // workers
    if each < LEAST:
        needed = -(-LEAST * workers * LEFT // (LEFT - 1))
        raise RefusedError(
            f"PostgreSQL allows {allowed} connections, and TRACKING_WORKERS={workers} needs "
            f"{needed}: fewer workers, or a larger max_connections (or CONNECTION LIMIT of the "
            "role or the database)"
        )
    pool = min(WITHOUT_LIMIT.pool, each // LEAST)
    threads = (each - OWN - ENGINES * pool) // A_THREAD
    background = max(2, threads // 5)
    return Share(
        min(WITHOUT_LIMIT.threads, threads - background),
        min(WITHOUT_LIMIT.background, background),
        pool,
    )
