"""PostgreSQL: the lock that a backup holds, dumps, and putting one back all or nothing."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from stack_backup import holdings, tools
from stack_backup.errors import RefusedError, ToolError
from stack_backup.settings import Settings

CLEANING_LOCK = 0x6D6C666C6F78
"""What deletes artifacts holds it alone; a backup shares it."""
BACKUP_LOCK = 0x6D6C666C6F79
"""One backup or restore of a stack at a time."""
MLFLOW, LOGINS = "mlflow", "logins"
EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n"


class Databases:
    """The stack's databases on one server."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database
        self._variables = {
            "PGPASSFILE": str(_passfile(settings)),
            "PGCONNECT_TIMEOUT": "10",
            "PGAPPNAME": "backup",
        }

    def there(self) -> list[str]:
        """Which of ours there are. Logins first: one dumped later than MLflow's data could grant
        something on what is not in it, and an identity is given again after a restore."""
        names = self._ask("SELECT datname FROM pg_database").splitlines()
        return [LOGINS, MLFLOW] if LOGINS in names else [MLFLOW]

    @contextlib.contextmanager
    def locked(self, *, alone: bool = False) -> Iterator[Callable[[], None]]:
        """Keep clean-ups and other backups away, `alone`: those that share the lock as well.

        The lock is the session's: it ends with this process, however that happens. What is yielded
        raises RefusedError if it was lost on the way, and is called at the end.
        """
        form = "" if alone else "_shared"
        self._first_answer()
        session = subprocess.Popen(
            [*_psql(self._url), "--set=ON_ERROR_STOP=1"],
            env={**os.environ, **self._variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        asked, answered = cast(IO[str], session.stdin), cast(IO[str], session.stdout)  # pipes

        def ask(query: str) -> str:
            with contextlib.suppress(BrokenPipeError):
                asked.write(query + "\n")
                asked.flush()
            return answered.readline().strip()

        def held() -> None:
            if ask("SELECT 'held';") != "held":
                raise RefusedError("the database was restarted meanwhile: run it again")

        try:
            for lock, call, who in (
                (BACKUP_LOCK, "pg_try_advisory_lock", "another backup or restore"),
                (CLEANING_LOCK, f"pg_try_advisory_lock{form}", "a clean-up of artifacts"),
            ):
                told = time.monotonic() - 10
                while (got := ask(f"SELECT {call}({lock});")) == "f":
                    if time.monotonic() - told >= 10:
                        print(f"waiting for {who} of this stack to end")
                        told = time.monotonic()
                    time.sleep(0.5)
                if got != "t":
                    raise RefusedError("the database gave no lock: try again")
            yield held
            held()
        finally:
            asked.close()
            session.terminate()
            session.wait()

    def dump(self, name: str, file: Path) -> None:
        """Write a database, as of one moment; uncompressed, so that the next backup finds what
        did not change."""
        partial = file.with_suffix(".partial")
        options = ["--format=custom", "--compress=none", "--no-owner", "--no-privileges"]
        tools.run("pg_dump", *options, "--file", partial, "--dbname", self._of(name),
                  variables=self._variables)  # fmt: skip
        partial.replace(file)

    def restore(self, name: str, file: Path) -> None:
        """Replace a database by a dump, in one transaction. Raises ToolError, and then leaves what
        was there."""
        empty, script = file.with_suffix(".empty.sql"), file.with_suffix(".sql")
        try:
            empty.write_text(EMPTY)
            tools.run("pg_restore", "--no-owner", "--no-privileges", "--file", script, file)
            options = ["--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
            tools.run(*_psql(self._of(name)), *options, f"--file={empty}", f"--file={script}",
                      variables=self._variables)  # fmt: skip
        finally:
            empty.unlink(missing_ok=True)
            script.unlink(missing_ok=True)

    def holds(self) -> str:
        """What the databases have in them, "" if nothing that anyone made."""
        return holdings.told({name: self._rows(name) for name in reversed(self.there())})

    def _rows(self, name: str) -> dict[str, int]:
        tables = self._ask(holdings.TABLES, name).splitlines()
        if not tables:
            return {}
        lines = self._ask(holdings.counting(tables), name).splitlines()
        return {table: int(count) for table, _, count in (line.partition("|") for line in lines)}

    def _first_answer(self) -> None:
        try:
            self._ask("SELECT 1")
        except ToolError as error:
            raise RefusedError(
                f"the database does not answer (make up starts it): {error}"
            ) from None

    def _ask(self, query: str, name: str = MLFLOW) -> str:
        command = [*_psql(self._of(name)), "--command", query]
        return tools.run(*command, variables=self._variables).strip()

    def _of(self, name: str) -> str:
        if name == MLFLOW:
            return self._url
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()


def _passfile(settings: Settings) -> Path:
    """A copy of the container's own, which libpq takes only where no group may read it."""
    copy = Path(tempfile.gettempdir(), "pgpass")
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    copy.write_bytes((settings.secrets / "pgpass").read_bytes())
    return copy


def _psql(url: str) -> list[str]:
    return ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password",
            f"--dbname={url}"]  # fmt: skip


def rows(dump: Path, table: str) -> Iterator[dict[str, str | None]]:
    """The rows of a table in a dump, read from the dump itself; none if it has no such table."""
    text = tools.run("pg_restore", "--data-only", "--table", table, "--file=-", dump)
    columns: list[str] | None = None
    for line in text.split("\n"):
        if columns is None:
            if line.startswith("COPY "):
                names = line[line.index("(") + 1 : line.rindex(")")]
                columns = [name.strip().strip('"') for name in names.split(",")]
        elif line == r"\.":
            columns = None
        else:
            values = (None if value == r"\N" else _plain(value) for value in line.split("\t"))
            yield dict(zip(columns, values, strict=True))


def _plain(value: str) -> str:
    """Undo what COPY's text format does to a value."""
    if "\\" not in value:
        return value
    escapes = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
    parts = value.split("\\\\")
    for position, part in enumerate(parts):
        head, *rest = part.split("\\")
        parts[position] = head + "".join(escapes.get(one[0], one[0]) + one[1:] for one in rest)
    return "\\".join(parts)
