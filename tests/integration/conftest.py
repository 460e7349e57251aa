"""Real servers for the integration tests, one set for each test process."""

import pytest

from harness.postgres import Postgres
from harness.s3 import S3
from harness.tracking import on_local_files, on_postgres_and_s3


@pytest.fixture(scope="session")
def postgres():
    """A running PostgreSQL; a test that stops it starts it again."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """A running S3 server; a test that stops it starts it again."""
    server = S3(tmp_path_factory.mktemp("s3")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tracking(postgres, s3, tmp_path_factory):
    """A running tracking server on PostgreSQL and S3: `.uri`, `.log`, `.start()`, `.stop()`."""
    server = on_postgres_and_s3(tmp_path_factory.mktemp("tracking"), postgres, s3)
    migration = server.migrate()
    assert migration.returncode == 0, migration.stdout + migration.stderr
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def local_tracking(tmp_path_factory):
    """A running tracking server on SQLite and a folder, as without Docker."""
    server = on_local_files(tmp_path_factory.mktemp("local-tracking"))
    migration = server.migrate()
    assert migration.returncode == 0, migration.stdout + migration.stderr
    yield server.start()
    server.stop()


def pytest_terminal_summary(terminalreporter):
    """What the comparison with `mlflow models serve` came to, in one line."""
    tests = [test for kind in ("passed", "failed") for test in terminalreporter.stats.get(kind, [])]
    properties = [dict(test.user_properties) for test in tests]
    if compared := [entry["compared"] for entry in properties if "compared" in entry]:
        requests, careless, differences = map(sum, zip(*compared, strict=True))
        terminalreporter.write_line(
            f"compared with mlflow models serve: {len(compared)} models, {requests} requests, "
            f"alone and at once: {differences} differences; {careless} careless 500s are 4xx here"
        )
