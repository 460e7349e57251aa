"""Validation by `mlflow run`, and what comes of it on a real tracking server."""

import http.server
import json
import threading
from functools import partial

import mlflow
import pytest

from chain import Settings as TrainSettings
from chain import validate_then_train
from checking import examine
from common.errors import BadInput
from harness.projects import Runs
from host.paths import ROOT
from validating import Settings, validate

DATA = ROOT / "projects" / "validation" / "data"


@pytest.fixture(scope="module")
def runs(local_tracking, tmp_path_factory):
    return Runs(local_tracking.uri, tmp_path_factory.mktemp("project"), "validation")


def settings(filename, max_errors=1, log=True, schema="none", save_schema="none") -> Settings:
    return Settings(str(filename), max_errors, log, str(schema), str(save_schema))


def recorded(runs, experiment: str) -> list[mlflow.entities.Run]:
    """Runs of an experiment, the first one first."""
    record = runs.client.get_experiment_by_name(experiment)
    return runs.client.search_runs([record.experiment_id], order_by=["attributes.start_time"])


def test_too_many_findings_fail_the_run_which_shows_them(runs):
    status, output, run = runs.run("carriage", filename="data/carriage.csv")

    assert status == 1
    assert "Traceback" not in output
    assert "error: data/carriage.csv: 3 findings, 1 allowed: carriage_returns 3" in output
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] in output
    counts = {name: value for name, value in run.data.metrics.items() if value}
    assert counts == {"rows": 60, "columns": 6, "bytes": 2587, "findings": 3, "carriage_returns": 3}
    assert {"zero_count_columns", "unnamed"} < set(run.data.metrics)
    table = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/findings.json")
    assert table["columns"] == ["check", "row", "column", "detail"]
    places = [(row, column) for _, row, column, _ in table["data"]]
    assert places == [(7, "remark"), (21, "remark"), (40, "station")]
    page = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/report.html")
    assert "carriage_returns" in page
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.name == "carriage"
    assert run.data.tags["sha256"].startswith(entry.dataset.digest)
    assert json.loads(entry.dataset.source) == {"uri": "data/carriage.csv"}


def test_without_log_the_run_of_mlflow_gets_nothing(runs):
    status, output, run = runs.run("unlogged", filename="data/clean.csv", log="false")

    assert status == 0, output
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {}
    assert runs.client.list_artifacts(run.info.run_id) == []
    assert not run.inputs.dataset_inputs


def test_a_good_file_is_trained_on_in_a_run_below(runs):
    status, output, run = runs.run(
        "trained",
        entry="train",
        filename="../wine/data/wine.csv",
        model_name="validated-wine",
        env_manager="local",
    )

    assert status == 0, output
    (child,) = [one for one in recorded(runs, "trained") if one.info.run_id != run.info.run_id]
    assert child.data.tags["mlflow.parentRunId"] == run.info.run_id
    assert (run.info.status, child.info.status) == ("FINISHED", "FINISHED")
    champion = runs.client.get_model_version_by_alias("validated-wine", "champion")
    assert champion.run_id == child.info.run_id
    assert "try it     curl http://models.example:81/models/validated-wine" in output


def test_training_does_not_start_on_a_bad_file(runs):
    mlflow.set_experiment("not trained")
    rest = ("none", "cultivar", "never-trained", "champion", "auto", "local")

    with pytest.raises(BadInput, match="mixed_types 2"):
        validate_then_train(TrainSettings(str(DATA / "mixed_types.csv"), 1, *rest))

    (only,) = recorded(runs, "not trained")
    assert only.info.status == "FAILED"
    assert "never-trained" not in {model.name for model in runs.client.search_registered_models()}


def test_a_schema_of_a_good_file_is_held_against_the_next(runs, tmp_path):
    mlflow.set_experiment("schema")
    saved = tmp_path / "weather.yaml"
    validate(settings(DATA / "clean.csv", save_schema=saved))
    (good,) = recorded(runs, "schema")
    artifact = f"{good.info.artifact_uri}/schema.yaml"
    assert mlflow.artifacts.load_text(artifact) == saved.read_text()
    lines = (DATA / "clean.csv").read_text().splitlines()
    lines[5] = lines[5].replace("Aachen", "Atlantis")
    lines[9] = "2026-03-03,Bremen,99.5,70,3.0,dry"
    lines[12] = "2026-03-03,Dresden,,71,3.0,dry"
    (tmp_path / "next.csv").write_text("\n".join(lines) + "\n")

    with pytest.raises(BadInput, match="3 findings, 1 allowed: schema 3"):
        validate(settings(tmp_path / "next.csv", schema=f"runs:/{good.info.run_id}/schema.yaml"))

    bad = recorded(runs, "schema")[-1]
    table = mlflow.load_table("findings.json", [bad.info.run_id])
    places = set(zip(table["row"], table["column"], strict=True))
    assert places == {(5, "station"), (9, "temperature"), (12, "temperature")}
    validate(settings(DATA / "clean.csv", schema=saved))


@pytest.mark.usefixtures("runs")
def test_a_file_is_read_from_the_artifact_store_and_the_web(s3, monkeypatch):
    content = (DATA / "carriage.csv").read_bytes()
    with mlflow.start_run(experiment_id=mlflow.set_experiment("uris").experiment_id) as run:
        mlflow.log_artifact(str(DATA / "carriage.csv"))
    uris = [f"{run.info.artifact_uri}/carriage.csv", f"runs:/{run.info.run_id}/carriage.csv"]
    bucket = s3.create_bucket()
    s3.client().put_object(Bucket=bucket, Key="carriage.csv", Body=content)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    uris.append(f"s3://{bucket}/carriage.csv")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=DATA)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uris.append(f"http://127.0.0.1:{server.server_port}/carriage.csv")

        examinations = {uri: examine(uri) for uri in uris}
        with pytest.raises(BadInput, match="404"):
            examine(f"http://127.0.0.1:{server.server_port}/nowhere.csv")
        server.shutdown()

    assert uris[0].startswith("mlflow-artifacts:/")
    for uri, examined in examinations.items():
        assert examined.findings.counts["carriage_returns"] == 3, uri
        assert examined.size == len(content)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9/x.csv?token=secret",
        "http://user:secret@127.0.0.1:9/x.csv",
        "mlflow-artifacts:/0/none/x.csv",
        "runs:/none/x.csv",
        "nonsense://secret@x/y.csv",
        "http://",
        "\0",
        "",
    ],
)
@pytest.mark.usefixtures("runs")
def test_what_cannot_be_fetched_is_refused_without_secrets(uri):
    with pytest.raises(BadInput) as refusal:
        examine(uri)

    assert "secret" not in refusal.value.message
    assert "\n" not in refusal.value.message
    assert len(refusal.value.message) < 400
