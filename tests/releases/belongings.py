"""What users have on an MLflow server, logged and listed by its client: any release's, from 2.22.

python belongings.py log  URI        prints the id of the experiment
python belongings.py list URI        prints everything as JSON
python belongings.py ask  URI MODEL  prints the model's predictions for its first rows
"""

import hashlib
import json
import logging
import math
import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import ViewType

ROWS = [[0.0], [1.0], [2.0], [3.0]]


def log() -> None:
    client = MlflowClient()
    experiment = client.create_experiment("old work", tags={"team": "blue"})
    mlflow.set_experiment("old work")
    with mlflow.start_run(run_name="parent", description="of two"):
        mlflow.log_params({"depth": 3, "long": "p" * 500})
        mlflow.set_tags({"colour": "red", "umlaut": "größer"})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metric("nothing", math.nan)
        mlflow.log_metric("endless", math.inf)
        frame = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 3.0]})
        mlflow.log_input(mlflow.data.from_pandas(frame, name="points"), context="training")
        mlflow.log_text("größer", "notes/note.txt")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "weights.bin").write_bytes(bytes(range(256)) * 1000)
            mlflow.log_artifacts(folder, "binary")
        for name in ("child one", "child two"):
            with mlflow.start_run(run_name=name, nested=True):
                mlflow.log_metric("loss", 0.25)
    with mlflow.start_run(run_name="deleted") as deleted:
        mlflow.log_text("deleted, not gone", "note.txt")
    client.delete_run(deleted.info.run_id)
    try:
        with mlflow.start_run(run_name="failed"):
            raise ValueError("on purpose")
    except ValueError:
        pass
    client.delete_experiment(client.create_experiment("deleted work"))
    with mlflow.start_span("question") as span:
        span.set_inputs({"question": "how long?"})
        span.set_outputs({"answer": "years"})
    if hasattr(mlflow, "flush_trace_async_logging"):
        mlflow.flush_trace_async_logging()
    _register(client)
    print(experiment)


def _register(client: MlflowClient) -> None:
    from sklearn.linear_model import LinearRegression

    for slope in (2.0, 3.0):
        model = LinearRegression().fit(np.array(ROWS), slope * np.arange(4.0) + 1)
        # Of its own: MLflow 3.1 copies a run's metrics to its model, and stumbles over a NaN.
        with mlflow.start_run(run_name=f"training {slope:g}"):
            mlflow.sklearn.log_model(
                model,
                f"model-{slope:g}",
                input_example=np.array(ROWS[:2]),
                pip_requirements=[f"{p}=={_version(p)}" for p in ("scikit-learn", "numpy")],
                registered_model_name="forecast",
            )
    client.update_registered_model("forecast", "what the weather will be")
    client.set_registered_model_tag("forecast", "owner", "ada")
    client.set_model_version_tag("forecast", "1", "checked", "yes")
    client.set_registered_model_alias("forecast", "champion", "2")
    client.set_registered_model_alias("forecast", "former", "1")


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def everything() -> dict:
    client = MlflowClient()
    experiments = client.search_experiments(view_type=ViewType.ALL)
    ids = [experiment.experiment_id for experiment in experiments]
    runs = client.search_runs(ids, run_view_type=ViewType.ALL)
    return {
        "experiments": {e.name: [e.experiment_id, e.lifecycle_stage, e.tags] for e in experiments},
        "runs": {run.info.run_id: _run(client, run) for run in runs},
        "models": {m.name: _model(client, m) for m in client.search_registered_models()},
        "traces": [_trace(client, trace) for trace in _traces(client, ids)],
    }


def _run(client: MlflowClient, run) -> dict:
    info = run.info
    return {
        "info": [info.run_name, info.status, info.lifecycle_stage, info.start_time, info.end_time],
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {
            key: [[str(m.value), m.step, m.timestamp] for m in client.get_metric_history(id_, key)]
            for id_ in [info.run_id]
            for key in run.data.metrics
        },
        "inputs": [
            [i.dataset.name, i.dataset.digest, i.dataset.profile, [t.value for t in i.tags]]
            for i in run.inputs.dataset_inputs
        ],
        "artifacts": dict(_digests(client, info.run_id)),
    }


def _digests(client: MlflowClient, run: str, folder: str = ""):
    for artifact in client.list_artifacts(run, folder or None):
        if artifact.is_dir:
            yield from _digests(client, run, artifact.path)
        else:
            with tempfile.TemporaryDirectory() as there:
                content = Path(client.download_artifacts(run, artifact.path, there)).read_bytes()
            yield artifact.path, hashlib.sha256(content).hexdigest()


def _model(client: MlflowClient, model) -> dict:
    versions = client.search_model_versions(f"name = '{model.name}'")
    return {
        "description": model.description,
        "tags": model.tags,
        "aliases": {alias: str(version) for alias, version in model.aliases.items()},
        "versions": {
            str(v.version): [v.run_id, v.status, v.tags, _files(v.source)] for v in versions
        },
    }


def _files(uri: str) -> dict:
    with tempfile.TemporaryDirectory() as there:
        folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=there))
        files = [file for file in folder.rglob("*") if file.is_file()]
        return {
            str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
            # MLflow adds it when it hands out a version.
            if file.name != "registered_model_meta"
        }


def _traces(client: MlflowClient, experiments: list):
    return [trace for one in experiments for trace in client.search_traces([one])]


def _trace(client: MlflowClient, listed) -> list:
    trace = client.get_trace(getattr(listed.info, "trace_id", None) or listed.info.request_id)
    return [[span.name, span.inputs, span.outputs, span.start_time_ns] for span in trace.data.spans]


def ask(model: str) -> list:
    loaded = mlflow.pyfunc.load_model(f"models:/{model}")
    return [float(value) for value in loaded.predict(np.array(ROWS))]


if __name__ == "__main__":
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    command, uri, *rest = sys.argv[1:]
    mlflow.set_tracking_uri(uri)
    if command == "log":
        log()
    else:
        print(json.dumps(everything() if command == "list" else ask(*rest)))
