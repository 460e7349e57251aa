"""A backend store in an SQLite file: its schema's revision, its lock, its backups."""

from __future__ import annotations

import fcntl
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tracking_server.errors import UPKEEP_RUNS, RefusedError, UnreachableError
from tracking_server.settings import SQLITE

LOCK_POLL_SECONDS = 0.2


class Sqlite:
    """MLflow's tables in one file on this machine."""

    suffix = ".db"

    def __init__(self, url: str, versions: str = "alembic_version") -> None:
        """`versions` is the table that holds the schema's revision."""
        self.url = url
        self._file = Path(url.removeprefix(SQLITE))
        self._versions = versions

    def revision(self, timeout: float = 5) -> str | None:
        """The schema's revision, None when there is no file yet or no table in it.

        Raises:
            UnreachableError: the file cannot be opened, or is locked for longer than `timeout`.
            RefusedError: it is no SQLite database.
        """
        rows = self.rows(f"SELECT version_num FROM {self._versions}", timeout)  # noqa: S608
        return rows[0][0] if rows else None

    def tables(self) -> set[str]:
        """The names of all tables in the file."""
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type='table'")}

    @contextmanager
    def lock(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold this file's migration lock; `waiting` is called while another has it.

        The kernel frees it when this process dies.
        """
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            lock = self._file.with_name(f"{self._file.name}.lock").open("w")
        except OSError as error:
            raise RefusedError(
                f"TRACKING_BACKEND_STORE: cannot write beside {self._file}: {error.strerror}"
            ) from None
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waiting()
                    time.sleep(LOCK_POLL_SECONDS)
            yield

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Hold off other clean-ups of this file; freed as `lock` is.

        Raises:
            RefusedError: one is running.
        """
        with self._file.with_name(f"{self._file.name}.upkeep.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(UPKEEP_RUNS) from None
            yield

    @contextmanager
    def upgrading(self) -> Iterator[str]:
        """The URL of a copy on which MLflow changes the schema; the copy then replaces all.

        SQLite commits after every change of a schema, so that a migration killed halfway
        would leave a file that no MLflow knows. The last step is one transaction.
        """
        with tempfile.TemporaryDirectory(dir=self._file.parent, prefix="migration-") as folder:
            copy = Path(folder, self._file.name)
            if self._file.exists():
                _copy(self._file, copy)
            yield f"{SQLITE}{copy}"
            _copy(copy, self._file)

    def unindexed(self) -> list[str]:
        """None: MLflow copies a table that it changes, and an index by an expression is lost."""
        return []

    def index(self) -> None:
        """Nothing to make."""

    def drop_indexes(self) -> None:
        """Nothing to drop."""

    def back_up(self, file: Path) -> None:
        """Write a consistent copy of the database to `file`."""
        _copy(self._file, file)

    def tables_in(self, file: Path) -> set[str]:
        """The names of all tables in a backup."""
        if not file.read_bytes()[:16].startswith(b"SQLite format 3"):
            raise RefusedError(f"{file} is no SQLite database")
        return Sqlite(f"{SQLITE}{file}").tables()

    def restore(self, file: Path) -> None:
        """Replace the database by the copy in `file`, in one transaction."""
        _copy(file, self._file)

    def rows(self, query: str, timeout: float = 5) -> list[tuple[Any, ...]]:
        """What a query finds; nothing where the file or a table is not there."""
        if not self._file.exists():
            return []
        try:
            with closing(sqlite3.connect(f"file:{self._file}?mode=ro", timeout, uri=True)) as db:
                return db.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise UnreachableError("cannot read the database file", str(error)) from None
        except sqlite3.DatabaseError as error:
            raise RefusedError(
                f"TRACKING_BACKEND_STORE: {self._file} is no SQLite database: {error}"
            ) from None


def _copy(source: Path, target: Path) -> None:
    """Copy a database page by page, under SQLite's own locks, in one transaction."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
