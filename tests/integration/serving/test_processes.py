"""Models may start processes, which end with their worker, and see the variables they are to."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from harness.serving import ModelServer
from model_server.models.launch import Launch
from model_server.models.target import Target
from model_server.options import Options
from model_server.processes import process, wire
from model_server.settings import Settings
from tests.integration.serving.models import act

CODE = Path(__file__).with_name("crowd")
WAYS = ("pool", "executor", "joblib")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crowd") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CODE))
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(CODE / "crowd.py"),
            code_paths=[str(CODE / "crowd_work.py")],
            signature=ModelSignature(inputs=Schema([ColSpec("string", "act")])),
            input_example=pd.DataFrame({"act": ["environment"]}),
            pip_requirements=["pandas"],
        )
    sys.modules.pop("crowd_work", None)
    return folder


class Own:
    """A worker that another interpreter runs, as in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        launch = Launch(
            Target("crowd", "1", str(folder), "x", "a test"),
            folder,
            Settings(models=f"crowd={folder}"),
            Options(),
            sys.executable,
        )
        self._child, _ = self._loop.run_until_complete(launch())

    @property
    def worker(self) -> int:
        return self._child.pid

    def ask(self, *acts: str) -> object:
        body = json.dumps(act(*acts)).encode()
        request = wire.Request(1, "id", "application/json", body, time.monotonic() + 60)
        self._child.channel.send([request])
        decoder = wire.msgspec.msgpack.Decoder(wire.Reply)
        try:
            reply = self._loop.run_until_complete(self._child.channel.receive(decoder))
        except wire.PeerClosedError:
            return None
        return json.loads(reply.answers[0].body)["predictions"]

    def lose(self) -> None:
        """Ends it as a replica does that sees its process gone."""
        self._loop.run_until_complete(self._child.end())

    def stop(self) -> None:
        self._loop.close()


class Forked:
    """A worker of a running server."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    @property
    def worker(self) -> int:
        (worker,) = self._server.model("crowd")["workers"]
        return worker

    def ask(self, *acts: str) -> object:
        return self._server.ask(act(*acts), "crowd").json().get("predictions")

    def lose(self) -> None:
        pass

    def stop(self) -> None:
        pass


@pytest.fixture(scope="module")
def server(crowd, tmp_path_factory):
    running = ModelServer(
        tmp_path_factory.mktemp("processes"),
        SERVING_MODELS=f"crowd={crowd}",
        SERVING_WORKER_VARIABLES="AWS_REGION,OPENAI_API_KEY",
        AWS_REGION="eu-central-1",
        OPENAI_API_KEY="for the model",
        AWS_SECRET_ACCESS_KEY="not for workers",
    ).start()
    yield running
    running.stop()


@pytest.fixture(params=["forked", "own"])
def worker(request, crowd):
    running = Own(crowd) if request.param == "own" else Forked(request.getfixturevalue("server"))
    yield running
    running.stop()


def test_model_may_choose_how_they_are_started(worker):
    assert worker.ask("choose") == [[2, 4, 6]]
    worker.ask("crash")
    worker.lose()


def test_model_may_start_processes_that_end_with_it(worker, crowd):
    assert worker.ask(*WAYS) == [[2, 4, 6]] * len(WAYS)
    (facts,) = worker.ask("facts")
    for started in (facts["here"], facts["there"]):
        assert (started["executable"], started["stdin"]) == (sys.executable, "")
        assert not started["writes_bytecode"]
    assert not list(crowd.rglob("__pycache__")), "a model's folder stays as it was saved"
    started = worker.ask("stay", "forked")
    children = [psutil.Process(pid) for pid in [*started[0], started[1], worker.worker]]
    worker.ask("crash")
    worker.lose()
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_only_variables_that_are_named_pass_though_they_look_like_credentials(server):
    (seen,) = Forked(server).ask("environment")
    assert (seen["AWS_REGION"], seen["OPENAI_API_KEY"]) == ("eu-central-1", "for the model")
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    log = server.process.text()
    assert "eu-central-1" not in log
    assert "for the model" not in log


def test_credentials_are_taken_but_for_what_is_passed(monkeypatch):
    for name in [name for name in os.environ if name.startswith(process._CREDENTIALS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "here")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    assert process.prepare(1, ["AWS_REGION"]) == {
        "AWS_REGION": "here",
        "AWS_SECRET_ACCESS_KEY": "key",
    }
    assert os.environ.get("AWS_REGION") == "here"
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
