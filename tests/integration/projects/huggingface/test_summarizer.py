"""The summarizer by `mlflow run`, as a user runs it, and served by a model server."""

import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from harness import tiny_t5
from harness.hub import Hub, serving
from harness.projects import Runs
from harness.serving import ModelServer, assert_error
from harness.tiny_t5 import SENTENCES

GERMAN = {"task": "translate English to German", "max_length": 20}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_t5.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def runs(tracking, tmp_path_factory):
    return Runs(tracking.uri, tmp_path_factory.mktemp("project"), "huggingface")


@pytest.fixture(scope="module")
def outcomes(runs, tiny, tmp_path_factory):
    """What came of a first run, which registers version 1 of `summarizer`, and of one on files that
    are no T5: at the same time, which takes half as long."""
    bad = tiny_t5.build(tmp_path_factory.mktemp("bad"))
    (bad / "tokenizer.json").write_text("{}")
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(runs.run, "summarizer", entry="summarizer", source=tiny)
        failed = pool.submit(runs.run, "bad", entry="summarizer", source=bad, model_name="bad")
        return good.result(), failed.result()


@pytest.fixture(scope="module")
def first(outcomes):
    """Status, output and run of the first run."""
    return outcomes[0]


@pytest.fixture(scope="module")
def model(first):
    """The registered model, loaded as a user loads it."""
    assert first[0] == 0, first[1]
    return mlflow.pyfunc.load_model("models:/summarizer@champion")


@pytest.fixture(scope="module")
def server(first, runs, tmp_path_factory):
    """A model server that follows the champion."""
    assert first[0] == 0, first[1]
    running = ModelServer(
        tmp_path_factory.mktemp("serving"),
        MLFLOW_TRACKING_URI=runs.uri,
        SERVING_MODELS="summarizer",
    ).start()
    yield running
    running.stop()


def predicted(model, texts, params=None):
    return model.predict(pd.DataFrame({"text": texts}), params=params)["output"].tolist()


def ask(server, texts, params=None):
    records = [{"text": text} for text in texts]
    content = {"dataframe_records": records, **({"params": params} if params else {})}
    return server.ask(content, "summarizer")


def answers(answer):
    assert answer.status_code == 200, answer.text
    return [row["output"] for row in answer.json()["predictions"]]


def test_a_run_records_where_the_model_is_from_and_promotes_it(runs, first, tiny):
    status, output, run = first

    assert status == 0, output
    assert "Traceback" not in output
    assert run.info.status == "FINISHED"
    assert run.data.params["source"] == run.data.tags["source"] == str(tiny)
    assert {"load_seconds", "tokens_per_second"} <= set(run.data.metrics)
    sums = runs.client.download_artifacts(run.info.run_id, "SHA256SUMS")
    recorded = dict(reversed(line.split()) for line in Path(sums).read_text().splitlines())
    version = runs.client.get_model_version_by_alias("summarizer", "champion")
    assert (version.version, version.run_id) == ("1", run.info.run_id)
    metadata = mlflow.models.get_model_info("models:/summarizer/1").metadata
    assert metadata["sha256"] == recorded
    assert len(recorded) == 4
    assert "promotion  promoted: there was no champion yet" in output


def test_the_signature_and_requirements_say_what_the_model_takes(model):
    signature = model.metadata.signature
    requirements = mlflow.pyfunc.get_model_dependencies("models:/summarizer/1")

    assert signature.inputs.input_names() == ["text"]
    assert signature.outputs.input_names() == ["output"]
    defaults = {param.name: param.default for param in signature.params.params}
    assert defaults == {"task": "summarize", "max_length": 100}
    lines = Path(requirements).read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert {"onnxruntime", "tokenizers", "pandas", "numpy"} <= pinned
    assert not {"torch", "transformers"} & pinned


def test_the_command_that_it_prints_gets_the_answer_that_it_prints(first, server):
    lines = dict(line.split(maxsplit=1) for line in first[1].splitlines() if " " in line)
    (line,) = (line for line in first[1].splitlines() if line.startswith("try it"))
    curl = shlex.split(line.removeprefix("try it"))

    assert curl[:2] == ["curl", "http://models.example:81/models/summarizer/invocations"]
    request = json.loads(curl[-1])
    assert request["params"] == {"task": "summarize", "max_length": 60}
    assert answers(server.ask(request, "summarizer")) == [lines["answer"]]


def test_the_server_answers_as_the_model_does_with_params_and_without(model, server):
    texts = list(SENTENCES[1:])

    german = answers(ask(server, texts[:1], GERMAN))
    assert german == predicted(model, texts[:1], GERMAN)
    assert german != answers(ask(server, texts[:1], {"max_length": 20}))
    assert answers(ask(server, texts)) == predicted(model, texts)
    assert answers(ask(server, ["", texts[0]])) == ["", *predicted(model, texts[:1])]


def test_requests_at_once_share_predictions_and_get_their_own_params(model, server):
    entry = server.model("summarizer")
    assert entry["batching"], entry
    every = [None, GERMAN, {"max_length": 5}]
    asked = [([text], every[at % 3]) for at, text in enumerate(SENTENCES[1:] * 6)]

    with ThreadPoolExecutor(len(asked)) as pool:
        answered = list(pool.map(lambda one: answers(ask(server, *one)), asked))

    assert answered == [predicted(model, *one) for one in asked]
    metrics = server.http.get("/metrics").text
    sizes = re.findall(
        r'^model_server_batch_rows_(bucket{.*le="1.0"|count{).*} (\d+)', metrics, re.M
    )
    alone, all_ = (int(number) for _, number in sizes)
    assert alone < all_


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"task": "dance"}, "task: '…' is none of: summarize, translate English to German"),
        ({"max_length": 0}, "max_length: 0 is not from 1 to 512"),
        ({"max_length": 100000}, "max_length: … is not from 1 to 512"),
        ({"max_length": "long"}, "max_length"),
        ({"max_length": 2.5}, "max_length"),
    ],
)
def test_wrong_params_are_a_400_in_one_line(server, params, words):
    message = assert_error(ask(server, ["a text"], params), 400)

    assert words in message
    assert "\n" not in message


def test_a_version_from_the_hub_that_answers_as_well_is_promoted_and_served(
    runs, tiny, server, tmp_path
):
    with serving(Hub(tiny)) as hub:
        runs.environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path)}
        parameters = {"source": hub.repository, "revision": hub.commit}
        status, output, run = runs.run("from the hub", entry="summarizer", **parameters)

    assert status == 0, output
    assert run.data.tags["commit"] == hub.commit
    why = "at least as good as version 1: 3 against 3 of 3 samples answered sensibly"
    assert f"promotion  promoted: {why}" in output
    assert run.data.tags["promotion"] == f"summarizer version 2: {why}"
    server.wait_for(
        lambda: ask(server, ["a text"]).headers["x-model-version"] == "2", 30, "version 2"
    )


def test_bad_files_fail_the_run_in_one_line(runs, outcomes):
    status, output, run = outcomes[1]

    assert status == 1
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "source: tokenizer.json: is no tokenizer" in errors[0]
    assert "Traceback" not in output
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] in errors[0]
    assert "bad" not in {model.name for model in runs.client.search_registered_models()}
