"""The project by `mlflow run`, as a user runs it, against a real tracking server."""

import json
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from harness.projects import Runs


@pytest.fixture(scope="module")
def runs(tracking, tmp_path_factory):
    return Runs(tracking.uri, tmp_path_factory.mktemp("project"), "wine")


@pytest.fixture(scope="module")
def first(runs):
    """What came of the first run, which registers version 1 of `wine`."""
    return runs.run("first")


def pyenv_has_this_python():
    if not shutil.which("pyenv"):
        return False
    known = ["pyenv", "prefix", platform.python_version()]
    return subprocess.run(known, capture_output=True, check=False).returncode == 0


PYENV = pytest.mark.skipif(
    not pyenv_has_this_python(),
    reason="MLflow's virtualenv manager needs pyenv, with this Python in it",
)


def test_a_run_records_registers_and_promotes(runs, first):
    status, output, run = first

    assert status == 0, output
    assert "Traceback" not in output
    assert run.info.status == "FINISHED"
    assert (run.data.params["C"], run.data.params["seed"]) == ("1.0", "2")
    assert run.data.metrics["accuracy"] == pytest.approx(44 / 45)
    assert {"f1_macro", "log_loss", "roc_auc_macro"} < set(run.data.metrics)
    contexts = {tag.value for entry in run.inputs.dataset_inputs for tag in entry.tags}
    assert contexts == {"training", "test"}
    plots = {file.path for file in runs.client.list_artifacts(run.info.run_id, "plots")}
    assert plots == {"plots/confusion_matrix.png", "plots/roc.png"}
    version = runs.client.get_model_version_by_alias("wine", "champion")
    assert (version.version, version.run_id) == ("1", run.info.run_id)
    assert version.tags["promoted_by"].endswith(f"(run {run.info.run_id})")
    page = f"{runs.uri}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    assert f"run        {page}" in output
    assert "promotion  promoted: there was no champion yet" in output


def test_what_it_registers_answers_the_request_that_it_prints(first):
    (line,) = (line for line in first[1].splitlines() if line.startswith("try it"))
    curl = shlex.split(line.removeprefix("try it"))
    request = json.loads(curl[-1])["dataframe_split"]

    model = mlflow.pyfunc.load_model("models:/wine/1")
    example = model.input_example

    assert curl[:2] == ["curl", "http://models.example:81/models/wine/invocations"]
    assert model.predict(pd.DataFrame(**request)).tolist() == ["barolo"]
    assert model.metadata.flavors["sklearn"]["serialization_format"] == "skops"
    assert model.metadata.get_input_schema().input_names() == request["columns"]
    assert list(example.columns) == request["columns"]
    requirements = Path(mlflow.pyfunc.get_model_dependencies("models:/wine/1")).read_text()
    assert {"scikit-learn", "skops"} < {pin.split("==")[0] for pin in requirements.split()}


@pytest.mark.usefixtures("first")
def test_a_worse_model_is_registered_but_not_promoted_and_the_run_says_why(runs):
    status, output, run = runs.run("worse", C=0.001)

    assert status == 0, output
    why = "worse than version 1: 22 against 44 of 45 held-out rows right"
    assert f"promotion  not promoted: {why}" in output
    assert run.info.status == "FINISHED"
    assert run.data.tags["promotion"] == f"wine version 2: {why}"
    assert runs.client.get_model_version("wine", "2").tags["promotion"] == why
    assert runs.client.get_model_version_by_alias("wine", "champion").version == "1"


@PYENV
@pytest.mark.skipif(os.environ.get("FULL") != "1", reason="a minute: with FULL=1")
@pytest.mark.timeout(600)
def test_it_runs_in_an_environment_made_by_mlflows_default_manager(runs):
    """The manager uv makes them in `make projects`."""
    status, output, run = runs.run("virtualenv", "virtualenv", model_name="wine-virtualenv")

    assert status == 0, output
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.project.env"] == "virtualenv"
    champion = runs.client.get_model_version_by_alias("wine-virtualenv", "champion")
    assert champion.run_id == run.info.run_id


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("data", "nowhere.csv", "data: no file 'nowhere.csv'"),
        ("test_size", "most", "Invalid value for '--test-size': 'most' is not a valid number."),
    ],
)
def test_bad_input_fails_the_run_in_one_line(runs, parameter, value, message):
    status, output, run = runs.run(f"bad {parameter}", model_name="bad", **{parameter: value})

    assert status == 1
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in output
    assert run.info.status == "FAILED"
    # What is refused before MLflow is imported has no tag.
    assert run.data.tags.get("failure") == (None if "Invalid value" in message else errors[0][7:])
    assert "bad" not in {model.name for model in runs.client.search_registered_models()}
