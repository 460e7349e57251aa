"""A backend store in PostgreSQL: its schema's revision, its lock, its backups."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import errors

from tracking_server import tls
from tracking_server.backend.indexes import INDEXES
from tracking_server.errors import UPKEEP_RUNS, RefusedError, UnreachableError
from tracking_server.secret_files import PGPASS_FILE

logger = logging.getLogger(__name__)

# Of this project alone, so that nothing else in the database waits for it by accident.
MIGRATION_LOCK = 0x6D6C666C6F77
# Held by backups together, by a clean-up alone.
UPKEEP_LOCK = 0x6D6C666C6F78
LOCK_POLL_SECONDS = 0.2
# What libpq says when waiting cannot help. It gives no code for a failed login.
LOGIN_REFUSED = ("password authentication failed", "no password supplied", "pg_hba.conf")
# What pg_dump says of a newer server, and how pg_restore lists a table.
VERSIONS = re.compile(r"server version: (\S+).*?; pg_dump version: (\S+)")
TABLE = ["TABLE", "public"]


class Postgres:
    """MLflow's tables in a PostgreSQL database, reached with the password in pgpass."""

    suffix = ".dump"

    def __init__(
        self,
        url: str,
        secrets: Path,
        versions: str,
        setting: str,
    ) -> None:
        """`versions` is the table that holds the schema's revision, `setting` what gave `url`."""
        self.url = url
        self._setting = setting
        self._dsn = self.url.replace("+psycopg2", "", 1)
        self._passfile = secrets / PGPASS_FILE
        self._versions = versions

    def revision(self, timeout: float = 5) -> str | None:
        """The schema's revision in one query, None when MLflow's tables are not there.

        Raises:
            UnreachableError: no answer, perhaps later.
            RefusedError: the login is wrong, or the database does not exist.
        """
        with self._connected(timeout) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT version_num FROM {self._versions}")  # noqa: S608
            except errors.UndefinedTable:
                return None
            row = cursor.fetchone()
            return row[0] if row else None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds; nothing where a table is not there."""
        with self._connected() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(query)
            except errors.UndefinedTable:
                return []
            return cursor.fetchall()

    def tables(self) -> set[str]:
        """The names of all tables in the schema that MLflow would use."""
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            return {name for (name,) in cursor}

    @contextmanager
    def lock(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold this database's migration lock; `waiting` is called while another has it.

        The lock belongs to the connection: PostgreSQL frees it when this process dies.
        """
        with self._connected() as connection, connection.cursor() as cursor:
            while True:
                if _try_lock(cursor, MIGRATION_LOCK):
                    break
                waiting()
                time.sleep(LOCK_POLL_SECONDS)
            yield

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Hold off backups and other clean-ups of this database; freed as `lock` is.

        Raises:
            RefusedError: one is running.
        """
        with self._connected() as connection, connection.cursor() as cursor:
            if not _try_lock(cursor, UPKEEP_LOCK):
                raise RefusedError(UPKEEP_RUNS)
            yield

    @contextmanager
    def upgrading(self) -> Iterator[str]:
        """The URL on which MLflow changes the schema, which PostgreSQL does all or nothing."""
        yield self.url

    def unindexed(self) -> list[str]:
        """See Database."""
        there = {
            name
            for (name,) in self.rows(
                "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            )
        }
        return [name for name in INDEXES if name not in there]

    def index(self) -> None:
        """See Database. Whoever writes runs waits meanwhile, a second or two for each million."""
        with self._connected() as connection, connection.cursor() as cursor:
            for name in self.unindexed():
                started = time.monotonic()
                try:
                    cursor.execute(f"CREATE INDEX {name} ON {INDEXES[name]}")
                except errors.InsufficientPrivilege as error:
                    logger.warning(
                        "searches take longer the more runs there are: no index %s, since %s",
                        name,
                        _first_line(error),
                    )
                else:
                    seconds = time.monotonic() - started
                    logger.info("made the index %s in %.1f s", name, seconds)

    def drop_indexes(self) -> None:
        """See Database."""
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX IF EXISTS {', '.join(INDEXES)}")

    def back_up(self, file: Path) -> None:
        """Write the whole database to `file`, in pg_dump's custom format."""
        self._run(
            "pg_dump",
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            "--file",
            file,
            "--dbname",
            self._dsn,
        )
        self._run("pg_restore", "--list", "--file", "/dev/null", file)

    def tables_in(self, file: Path) -> set[str]:
        """The names of all tables in a backup."""
        listed = self._run("pg_restore", "--list", file)
        return {row[5] for row in map(str.split, listed.splitlines()) if row[3:5] == TABLE}

    def restore(self, file: Path) -> None:
        """Replace all that is in the schema by what is in `file`, in one transaction."""
        with tempfile.TemporaryDirectory(prefix="restore-") as folder:
            empty, script = Path(folder, "empty.sql"), Path(folder, "script.sql")
            empty.write_text("DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n")
            self._run("pg_restore", "--no-owner", "--no-privileges", "--file", script, file)
            self._run(
                "psql",
                "--no-psqlrc",
                "--quiet",
                "--no-password",
                "--single-transaction",
                "--set=ON_ERROR_STOP=1",
                "--output=/dev/null",
                f"--dbname={self._dsn}",
                f"--file={empty}",
                f"--file={script}",
            )

    @contextmanager
    def _connected(self, timeout: float | None = None) -> Iterator[psycopg2.extensions.connection]:
        """A connection in autocommit mode; `timeout` limits connecting and each statement."""
        try:
            connection = psycopg2.connect(
                self._dsn,
                connect_timeout=max(2, round(timeout or 5)),
                options=f"-c statement_timeout={int((timeout or 0) * 1000)}",
            )
        except psycopg2.OperationalError as error:
            raise self._explained(error) from None
        try:
            connection.autocommit = True
            yield connection
        except psycopg2.OperationalError as error:
            raise UnreachableError("connection lost", _first_line(error)) from None
        finally:
            connection.close()

    def _explained(self, error: psycopg2.OperationalError) -> Exception:
        message = str(error)
        line = _first_line(error)
        if untrusted := tls.of_postgres(message):
            return untrusted
        if any(text in message for text in LOGIN_REFUSED):
            return RefusedError(f"PostgreSQL refuses the login, check {self._passfile}: {line}")
        if 'database "' in message and "does not exist" in message:
            return RefusedError(f"{self._setting} names no database there: {line}")
        return UnreachableError("cannot connect", line)

    def _run(self, *command: str | Path) -> str:
        """What one of PostgreSQL's tools prints, which finds its password by PGPASSFILE."""
        # It gets what it needs and no more: this process's environment holds MLflow's keys.
        names = ("PATH", "SSL_CERT_FILE")
        needed = {k: v for k, v in os.environ.items() if k in names or k.startswith("PG")}
        try:
            done = subprocess.run(command, env=needed, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise RefusedError(
                f"{command[0]} is not installed: install PostgreSQL's client programs"
            ) from None
        if done.returncode:
            if versions := VERSIONS.search(done.stderr):
                raise RefusedError(
                    f"nothing was changed: PostgreSQL is {versions[1]} and pg_dump, for the backup "
                    f"that comes first, is the older {versions[2]}: set POSTGRES_IMAGE in .env to "
                    "the server's version, and run `docker compose up -d --build --wait`"
                )
            lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise RefusedError(f"{command[0]} failed: {lines[0]}")
        return done.stdout


def _try_lock(cursor: psycopg2.extensions.cursor, lock: int) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
    row = cursor.fetchone()
    return row is not None and bool(row[0])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
