"""`tracking-server gc` deletes what users deleted and no version needs, whole, or not at all."""

from __future__ import annotations

import os
import re
from contextlib import closing
from types import SimpleNamespace
from uuid import uuid4

import mlflow
import psycopg2
import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from harness.processes import Process
from harness.tracking import COMMAND, on_local_files, on_postgres_and_s3
from harness.waiting import wait_until
from tracking_server.backend.postgres import UPKEEP_LOCK
from tracking_server.settings import ARTIFACT_ROOT


class Records:
    """What users log through a server, by few calls, and what is left of it in its stores."""

    def __init__(self, server, stored) -> None:
        self.server = server
        self.client = mlflow.MlflowClient(server.uri)
        self._stored = stored

    def stored(self) -> set[str]:
        """Every artifact in the artifact store, as `EXPERIMENT/.../file`."""
        return self._stored()

    def experiment(self, name: str, artifact_location: str = "") -> str:
        """Made in the store if it has a location: the server refuses today what it took once."""
        if not artifact_location:
            return self.client.create_experiment(name)
        os.environ["PGPASSFILE"] = f"{self.server.environment['TRACKING_SECRETS']}/pgpass"
        store = TrackingStore(self.server.environment["TRACKING_BACKEND_STORE"], ARTIFACT_ROOT)
        return store.create_experiment(name, artifact_location)

    def run(self, experiment: str, folder, parent: str | None = None, size: int = 1000) -> str:
        tags = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(experiment, tags=tags).info.run_id
        self.client.log_metric(run, "loss", 0.5)
        self.client.log_param(run, "depth", "3")
        (folder / "weights.bin").write_bytes(b"w" * size)
        self.client.log_artifact(run, str(folder / "weights.bin"), "model")
        return run

    def model(self, experiment: str, folder, run: str | None = None) -> str:
        model = self.client.create_logged_model(experiment, name="m", source_run_id=run)
        (folder / "model.bin").write_bytes(b"m" * 500)
        self.client.log_model_artifact(model.model_id, str(folder / "model.bin"))
        self.client.finalize_logged_model(model.model_id, "READY")
        return model.model_id

    def version(self, name: str, source: str, run: str | None = None) -> int:
        """Made in the store: through the server, MLflow refuses today what it took once."""
        self.client.create_registered_model(name)
        # conftest.py puts the environment back after the test.
        os.environ["PGPASSFILE"] = f"{self.server.environment['TRACKING_SECRETS']}/pgpass"
        mlflow.set_tracking_uri(self.server.uri)
        store = SqlAlchemyStore(self.server.environment["TRACKING_BACKEND_STORE"])
        return store.create_model_version(name, source, run).version

    def of(self, identifier: str) -> set[str]:
        return {key for key in self.stored() if identifier in key.split("/")}

    def gc(self, *arguments: str):
        """Its status, and all that it said."""
        done = self.server.run("gc", *arguments)
        return SimpleNamespace(status=done.returncode, said=done.stdout, errors=done.stderr)

    def runs_left(self) -> set[str]:
        experiments = [e.experiment_id for e in self.client.search_experiments(view_type=3)]
        return {run.info.run_id for run in self.client.search_runs(experiments, run_view_type=3)}


@pytest.fixture(scope="module")
def on_postgres(postgres, s3, tmp_path_factory):
    server = on_postgres_and_s3(tmp_path_factory.mktemp("gc"), postgres, s3)
    assert server.migrate().returncode == 0

    def stored():
        pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=server.bucket)
        keys = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
        return {key for key in keys if not key.endswith("/")}  # which is an empty folder

    yield Records(server.start(), stored)
    server.stop()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory):
    server = on_local_files(tmp_path_factory.mktemp("gc-local"))
    assert server.migrate().returncode == 0
    root = server.folder / "artifacts"

    def stored():
        return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}

    yield Records(server.start(), stored)
    server.stop()


@pytest.fixture(params=["on_postgres", "on_sqlite"])
def records(request):
    """A server on PostgreSQL and S3, and one on SQLite and a folder."""
    return request.getfixturevalue(request.param)


def test_it_deletes_what_users_deleted_and_only_that(records, tmp_path):
    client = records.client
    living = records.experiment("living")
    kept, gone = records.run(living, tmp_path), records.run(living, tmp_path, size=3 * 2**20)
    of_gone = records.model(living, tmp_path, gone)  # its run goes, the model was not deleted
    model = records.model(living, tmp_path, kept)
    dead = records.experiment("dead")
    inside, its_model = records.run(dead, tmp_path), records.model(dead, tmp_path)
    (tmp_path / "by-hand.txt").write_text("of no run")
    records.server.artifacts(dead).log_artifact(str(tmp_path / "by-hand.txt"), "notes")
    client.delete_run(gone)
    client.delete_logged_model(model)
    client.delete_experiment(dead)
    before = records.stored()

    shown = records.gc("--dry-run")
    assert shown.status == 0, shown.errors
    assert re.search(r"^runs +2 +2 +3\.0 MiB$", shown.said, re.MULTILINE), shown.said
    assert re.search(r"^logged models +2 +2 +1000 B$", shown.said, re.MULTILINE)
    assert re.search(r"^experiments +1 +1 +9 B$", shown.said, re.MULTILINE)
    assert records.stored() == before
    assert {kept, gone, inside} <= records.runs_left()

    done = records.gc("--yes")
    assert done.status == 0, done.errors
    assert "deleted 2 runs, 2 logged models, 1 experiments; 3.0 MiB freed in 5 files" in done.said
    assert records.runs_left() & {kept, gone, inside} == {kept}
    assert records.of(kept)
    assert records.of(of_gone)
    for identifier in (gone, model, inside, its_model):
        assert not records.of(identifier)
    assert not [key for key in records.stored() if key.startswith(f"{dead}/")]
    assert client.get_run(kept).data.metrics == {"loss": 0.5}
    assert [m.model_id for m in client.search_logged_models([living])] == [of_gone]
    with pytest.raises(mlflow.MlflowException, match="No Experiment"):
        client.get_experiment(dead)


def test_what_a_version_needs_stays_in_whichever_way_it_names_it(records, tmp_path):
    client = records.client
    experiment, other = records.experiment("backing"), records.experiment("elsewhere")
    uri = "mlflow-artifacts:/{}/{}/artifacts/model"
    runs = {}
    for how in ("run_id", "source", "runs", "parent", "logged", "copied", "unneeded", "deleted"):
        runs[how] = records.run(experiment, tmp_path)
    runs["child"] = records.run(other, tmp_path, parent=runs["parent"])
    model = records.model(other, tmp_path, runs["logged"])
    records.version("by-run-id", "s3://some-other/bucket/model", runs["run_id"])
    records.version("by-source", uri.format(experiment, runs["source"]))
    records.version("by-runs-uri", f"runs:/{runs['runs']}/model")
    records.version("by-child", uri.format(other, runs["child"]), runs["parent"])
    records.version("by-logged-model", f"models:/{model}")
    first = records.version("original", uri.format(experiment, runs["copied"]))
    client.copy_model_version(f"models:/original/{first}", "copy")
    client.delete_registered_model("original")
    version = records.version("taken-back", uri.format(experiment, runs["deleted"]))
    client.delete_model_version("taken-back", version)
    # All of it is deleted, in every way that there is.
    client.delete_logged_model(model)
    client.delete_experiment(other)
    for how in runs.keys() - {"child"}:
        client.delete_run(runs[how])

    done = records.gc("--yes")
    assert done.status == 0, done.errors
    assert "deleted 2 runs, 0 logged models, 0 experiments" in done.said
    for how in ("unneeded", "deleted"):
        assert not records.of(runs.pop(how))
    for how, run in runs.items():
        assert records.of(run), how
    assert runs.keys() & {h for h, run in runs.items() if run in records.runs_left()} == set(runs)
    assert records.of(model)
    assert re.search(rf"run {runs['copied']} \(.+\): version 1 of model copy", done.said)
    assert re.search(rf"logged model {model} \(m\): version 1 of model by-logged-model", done.said)
    assert re.search(rf"experiment {other} \(elsewhere\): 1 run in it stays", done.said)

    # A deleted model frees what it held.
    for name in ("by-run-id", "by-source", "by-runs-uri", "by-child", "by-logged-model", "copy"):
        client.delete_registered_model(name)
    assert "deleted 7 runs, 1 logged models, 1 experiments" in records.gc("--yes").said


def test_artifacts_of_others_and_out_of_reach_are_left_alone(records, tmp_path):
    """A location that users chose: not in the store, shared, or inside of another experiment."""
    client = records.client
    foreign = records.experiment("foreign", artifact_location="s3://not-ours/folder")
    lost = client.create_run(foreign).info.run_id
    shared = "mlflow-artifacts:/shared-folder"
    first = records.experiment("first", artifact_location=shared)
    second = records.experiment("second", artifact_location=shared)
    outer = records.experiment("outer")
    inner = records.experiment("inner", artifact_location=f"mlflow-artifacts:/{outer}/inner")
    living = [records.run(second, tmp_path), records.run(inner, tmp_path)]
    dead = [records.run(first, tmp_path), records.run(outer, tmp_path)]
    for experiment in (foreign, first, outer):
        client.delete_experiment(experiment)
    done = records.gc("--yes")
    assert done.status == 0, done.errors
    assert f"run {lost}" in done.said
    assert "not in the artifact store: s3://not-ours/folder" in done.said
    for run in dead:
        assert not records.of(run)
    for run in living:
        assert records.of(run)
        assert client.get_run(run).info.lifecycle_stage == "active"
    assert lost in records.runs_left()
    client.restore_experiment(foreign)


def test_the_traces_of_a_deleted_experiment_go_with_it(on_postgres):
    records = on_postgres
    mlflow.set_tracking_uri(records.server.uri)
    traced = mlflow.set_experiment("traced").experiment_id
    with mlflow.start_span("question") as span:
        span.set_inputs({"question": "how?"})
    mlflow.flush_trace_async_logging()
    wait_until(lambda: records.client.search_traces(locations=[traced]), 20, "the trace is stored")
    records.client.delete_experiment(traced)
    done = records.gc("--yes")
    assert re.search(r"^their traces +1$", done.said, re.MULTILINE), done.said + done.errors
    assert "deleted 0 runs, 0 logged models, 1 experiments" in done.said


def test_a_backup_and_a_clean_up_exclude_each_other(on_postgres, postgres, tmp_path):
    """Backups hold the advisory lock together; whoever has it is told at once."""
    records = on_postgres
    run = records.run(records.experiment("locked"), tmp_path)
    records.client.delete_run(run)
    backup = psycopg2.connect(host=postgres.socket, user="postgres", dbname=records.server.database)
    with closing(backup), backup.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [UPKEEP_LOCK])
        refused = records.gc("--yes")
    assert refused.status == 1
    assert "a backup or another clean-up is running" in refused.errors.splitlines()[-1]
    assert records.of(run)
    assert records.gc("--yes").status == 0
    assert not records.of(run)


def test_killed_in_the_middle_it_is_mended_by_the_next(records, tmp_path):
    """No row is left without its end, no artifact that nothing names, after each of the kills."""
    kills = 2 if os.environ.get("FULL") == "1" else 1
    for _ in range(5):
        experiment = records.experiment(f"killed-{uuid4().hex}")
        runs = {records.run(experiment, tmp_path) for _ in range(20)}
        records.client.delete_experiment(experiment)
        in_the_middle = all(_kill_after_a_deletion(records, runs, tmp_path) for _ in range(kills))
        done = wait_until(
            lambda: (attempt := records.gc("--yes")).status == 0 and attempt, 60, "the lock is free"
        )
        assert not records.runs_left() & runs
        assert not [key for key in records.stored() if key.startswith(f"{experiment}/")]
        if in_the_middle:
            assert "1 experiments" in done.said
            return
    pytest.fail("each of five clean-ups had ended before it was killed")


def _kill_after_a_deletion(records, runs: set[str], folder) -> bool:
    """Start a clean-up and kill it once it has deleted a run more; whether any run was left."""

    def with_artifacts():
        return runs & {part for key in records.stored() for part in key.split("/")}

    before = len(with_artifacts())
    killed = Process([*COMMAND, "gc", "--yes"], records.server.environment, folder / "gc.log")
    killed.start()
    killed.wait_for(lambda: len(with_artifacts()) < before, 60, "deletions")
    killed.kill()
    there = records.runs_left() & runs
    # Rows may outlive their artifacts, being deleted already; never the other way round.
    assert with_artifacts() <= there
    return bool(there)


def test_what_is_restored_meanwhile_is_not_deleted(on_postgres, postgres, tmp_path):
    """Restored between list and deletion: the first deletion waits here for another's row lock."""
    records = on_postgres
    experiment = records.experiment("restored")
    first, second = (records.run(experiment, tmp_path) for _ in range(2))
    records.client.delete_run(first)
    records.client.delete_run(second)
    holder = psycopg2.connect(host=postgres.socket, user="postgres", dbname=records.server.database)
    with closing(holder), holder.cursor() as cursor:
        cursor.execute("SELECT 1 FROM runs WHERE run_uuid IN (%s, %s) FOR UPDATE", [first, second])
        waiting = Process([*COMMAND, "gc", "--yes"], records.server.environment, tmp_path / "log")
        with waiting:
            waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
            waiting.wait_for(lambda: postgres.execute(waits), 60, "it waits for the row")
            cursor.execute(
                "UPDATE runs SET lifecycle_stage = 'active' WHERE run_uuid = %s", [second]
            )
            cursor.execute(
                "INSERT INTO registered_models (name, workspace) VALUES ('late', 'default')"
            )
            cursor.execute(
                "INSERT INTO model_versions (name, workspace, version, run_id, current_stage)"
                " VALUES ('late', 'default', 1, %s, 'None')",
                [first],
            )
            holder.commit()
            assert waiting.wait(60) == 0
            assert "deleted 0 runs" in waiting.text()
            assert "2 are needed again" in waiting.text()
    assert records.of(first)
    assert records.of(second)


def test_a_store_that_does_not_answer_loses_nothing(on_postgres, s3, tmp_path):
    records = on_postgres
    run = records.run(records.experiment("unreachable"), tmp_path)
    records.client.delete_run(run)
    records.server.stop()
    s3.stop()
    try:
        refused = records.gc("--yes")
    finally:
        s3.start()
        records.server.start()
    assert refused.status == 1
    assert "artifact store does not answer" in refused.errors.splitlines()[-1]
    assert run in records.runs_left()
    assert records.of(run)
    assert "deleted 1 runs" in records.gc("--yes").said


def test_a_postgresql_lost_in_the_middle_is_said_in_one_line(on_postgres, postgres, tmp_path):
    records = on_postgres
    run = records.run(records.experiment("lost"), tmp_path)
    records.client.delete_run(run)
    waiting = Process([*COMMAND, "gc", "--yes"], records.server.environment, tmp_path / "log")
    holder = psycopg2.connect(host=postgres.socket, user="postgres", dbname=records.server.database)
    with closing(holder), holder.cursor() as cursor:
        cursor.execute("SELECT 1 FROM runs WHERE run_uuid = %s FOR UPDATE", [run])
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        waiting.start().wait_for(lambda: postgres.execute(waits), 60, "it waits for the row")
        with postgres.gone():
            status = waiting.wait(60)
    assert status == 1
    assert "Traceback" not in waiting.text()
    assert waiting.text().splitlines()[-1].startswith("tracking-server: ")
    assert records.of(run)
    assert "deleted 1 runs" in records.gc("--yes").said


def test_it_deletes_nothing_unasked_and_nothing_younger(on_sqlite, tmp_path):
    records = on_sqlite
    run = records.run(records.experiment("young"), tmp_path)
    records.client.delete_run(run)
    unasked = records.gc()
    assert unasked.status == 1
    assert "--yes" in unasked.errors.splitlines()[-1]
    young = records.gc("--yes", "--older-than", "1d")
    assert young.said.splitlines() == ["nothing to delete", "younger than 1d: 1"]
    assert records.of(run)
    assert run in records.runs_left()


def test_a_wrong_age_is_refused_in_one_line(on_sqlite):
    refused = on_sqlite.gc("--older-than", "a month")
    assert refused.status == 1
    assert refused.errors.splitlines() == [
        "tracking-server: expected an age like 30d, 12h or 1d12h, found 'a month'"
    ]
