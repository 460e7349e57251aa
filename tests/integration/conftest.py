"""Real servers for the integration tests, one set for each test process."""

import pytest

from tests.integration.postgres import Postgres
from tests.integration.s3 import S3
from tests.integration.tracking_server import on_local_files, on_postgres_and_s3


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
