"""The databases of the settings, and what both kinds of them can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from tracking_server.settings import POSTGRES, PREFIX, Settings

VERSIONS, VERSIONS_OF_LOGINS = "alembic_version", "alembic_version_auth"
"""The tables that hold a schema's revision."""
DEFAULT_EXPERIMENT = 0
"""Where runs go that name none. Made with the tables, and its identifier is given out once."""


class Database(Protocol):
    """A database with tables of MLflow's: its schema's revision, its locks, its backups.

    Each method raises UnreachableError where there is no answer now, and RefusedError where
    waiting does not help. suffix: that of its backups.
    """

    url: str
    suffix: str

    def revision(self, timeout: float = 5) -> str | None:
        """The schema's revision, None when MLflow's tables are not there."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds; nothing where a table is not there."""

    def tables(self) -> set[str]:
        """The names of all tables that MLflow would see."""

    def lock(self, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the migration lock, which ends with this process; `waiting` is called while another
        has it."""

    def cleaning(self) -> AbstractContextManager[None]:
        """Hold off backups and other clean-ups, or refuse while one is running."""

    def upgrading(self) -> AbstractContextManager[str]:
        """The URL on which MLflow changes the schema, all or nothing."""

    def unindexed(self) -> list[str]:
        """The names of this server's own indexes that are not there yet."""

    def index(self) -> None:
        """Make them."""

    def drop_indexes(self) -> None:
        """Drop them, so that none is in the way of MLflow's changes."""

    def back_up(self, file: Path) -> None:
        """Write the whole database to `file`."""

    def tables_in(self, file: Path) -> set[str]:
        """The names of all tables in a backup."""

    def restore(self, file: Path) -> None:
        """Replace the database by the backup in `file`, all or nothing."""


def open_store(settings: Settings) -> Database:
    """The backend store."""
    return _open(settings, "backend_store", VERSIONS)


def open_logins(settings: Settings) -> Database:
    """The database of users."""
    return _open(settings, "logins", VERSIONS_OF_LOGINS)


def _open(settings: Settings, field: str, versions: str) -> Database:
    url = getattr(settings, field)
    if url.startswith(POSTGRES):
        from tracking_server.backend.postgres import Postgres

        return Postgres(url, settings.secrets, versions, f"{PREFIX}{field.upper()}")
    from tracking_server.backend.sqlite import Sqlite

    return Sqlite(url, versions)
