"""What users logged on older releases of MLflow is all there after the migration, and usable."""

from __future__ import annotations

import os
import signal
import sys
from types import SimpleNamespace

import mlflow
import pytest

from harness.processes import Process
from harness.serving import ModelServer
from harness.tracking import COMMAND, on_postgres_and_s3
from tests.integration.upgrades.older import Older, belongings
from tracking_server.backend import schema

HEAD = schema.installed().head
FULL = os.environ.get("FULL") == "1"


def logged_by(release, how, postgres, s3, folder):
    """A database and a bucket that an older server and client filled, what they show, and a
    server of this stack on both, not migrated yet.

    how: "proxied", or "direct", where clients reached the bucket themselves.
    MLflow 3.1 could not do the latter: it took the tracking address for an access key.
    """
    older = Older(release, folder)
    server = on_postgres_and_s3(folder / "new", postgres, s3)
    secrets = server.environment["TRACKING_SECRETS"]
    storage = {
        "PGPASSFILE": f"{secrets}/pgpass",
        "AWS_SHARED_CREDENTIALS_FILE": f"{secrets}/s3.ini",
        "MLFLOW_S3_ENDPOINT_URL": s3.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    options = {
        "proxied": ["--artifacts-destination", f"s3://{server.bucket}"],
        "direct": ["--no-serve-artifacts", "--default-artifact-root", f"s3://{server.bucket}"],
    }[how]
    old_server = older.server(postgres.url(server.database), *options, **storage)
    clients = storage if how == "direct" else {}
    try:
        belongings(older.python, "log", old_server.uri, **clients)
        before = belongings(older.python, "list", old_server.uri, **clients)
    finally:
        old_server.stop()
    copy = postgres.copy_database(server.database)
    return SimpleNamespace(older=older, server=server, before=before, how=how, copy=copy)


@pytest.fixture(scope="module", params=[("2.22", "direct"), ("3.1", "proxied")], ids="-".join)
def taken_over(request, postgres, s3, tmp_path_factory):
    """The same, migrated and served."""
    release, how = request.param
    logged = logged_by(release, how, postgres, s3, tmp_path_factory.mktemp(f"mlflow-{release}"))
    logged.migration = logged.server.migrate()
    assert logged.migration.returncode == 0, logged.migration.stderr
    if how == "direct":
        adopted = logged.server.run("adopt", f"s3://{logged.server.bucket}/")
        assert adopted.returncode == 0, adopted.stderr
        logged.adopted = adopted.stderr
    yield logged
    logged.server.stop()


def test_all_of_it_is_still_there(taken_over):
    """Item by item: experiments, runs, histories, tags, data sets, artifacts by digest, models,
    versions, aliases, traces, as the new client shows them and as the old one does."""
    before = taken_over.before
    assert {run["info"][0] for run in before["runs"].values()} >= {"parent", "child one", "deleted"}
    assert before["traces"] == [[["question", *before["traces"][0][0][1:]]]]
    assert before["models"]["forecast"]["versions"].keys() == {"1", "2"}
    assert "backed up to" in taken_over.migration.stderr

    server = taken_over.server.start()
    assert belongings(sys.executable, "list", server.uri) == before
    assert belongings(taken_over.older.python, "list", server.uri) == before
    told = belongings(taken_over.older.python, "ask", server.uri, "forecast@champion")
    assert told == pytest.approx([1.0, 4.0, 7.0, 10.0])
    # New work beside it.
    client = mlflow.MlflowClient(server.uri)
    old = client.get_experiment_by_name("old work").experiment_id
    run = client.create_run(old)
    client.log_text(run.info.run_id, "new", "note.txt")
    assert run.info.artifact_uri == f"mlflow-artifacts:/{old}/{run.info.run_id}/artifacts"


@pytest.mark.timeout(600)
def test_an_old_version_is_served_in_an_environment_of_its_own(taken_over, tmp_path):
    if taken_over.how == "proxied" and not FULL:
        pytest.skip("with FULL=1: every release; making the environment takes long")
    if not taken_over.server.process.running():
        taken_over.server.start()
    with_models = ModelServer(
        tmp_path, MLFLOW_TRACKING_URI=taken_over.server.uri, SERVING_POLL="0.2"
    )
    with_models.process.start()
    try:
        with_models.wait_for(
            lambda: with_models.ask({"inputs": [[2.0]]}, "forecast").status_code == 200,
            300,
            "the old version is served",
        )
        answer = with_models.ask({"inputs": [[2.0], [3.0]]}, "forecast")
        assert answer.json()["predictions"] == pytest.approx([7.0, 10.0])
        assert answer.headers["X-Model-Version"] == "2"
    finally:
        with_models.stop()


# Tables that one of the first and one of the last of the migration's steps change.
POINTS = ["trace_info", "model_versions"]


@pytest.mark.parametrize("table", POINTS)
@pytest.mark.parametrize("killed", ["process", "postgres"])
def test_killed_in_the_middle_the_next_migration_does_it_all(
    taken_over, postgres, tmp_path, table, killed
):
    quick = [("process", POINTS[0]), ("postgres", POINTS[1])]
    if not FULL and ((killed, table) not in quick or taken_over.how == "proxied"):
        pytest.skip("with FULL=1: every point, from every release")
    database = postgres.copy_database(taken_over.copy)
    environment = dict(taken_over.server.environment)
    environment["TRACKING_BACKEND_STORE"] = postgres.url(database)
    environment["TRACKING_BACKUPS"] = str(tmp_path / "backups")

    def state():
        tables = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'"
        revision = postgres.execute("SELECT version_num FROM alembic_version", database)
        return revision, postgres.execute(tables, database)

    def waits():
        rows = postgres.execute(
            "SELECT relation::regclass FROM pg_locks WHERE NOT granted", database
        )
        return (table,) in rows

    before = state()
    migration = Process([*COMMAND, "migrate"], environment, tmp_path / "log")
    with postgres.reading(table, database):
        migration.start()
        migration.wait_for(waits, 120, f"the migration changes {table}")
        if killed == "process":
            migration.send(signal.SIGKILL)
            migration.wait(20)
        else:
            with postgres.gone():
                status = migration.wait(60)
    if killed == "postgres":
        assert status == 1
        line = migration.text().splitlines()[-1]
        assert "failed and changed nothing, the backup is" in line
        assert "tries again" in line
    assert state() == before
    again = Process([*COMMAND, "migrate"], environment, tmp_path / "again").start()
    assert again.wait(120) == 0, again.text()
    assert state()[0] == [(HEAD,)]
    postgres.execute(f"DROP DATABASE {database}")
