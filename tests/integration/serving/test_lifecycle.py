"""Starts that are refused, ends that lose nothing, and no process left behind."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from harness.processes import clean_environment
from harness.serving import ModelServer
from tests.integration.serving.models import act


@pytest.fixture
def server(models, tmp_path):
    server = ModelServer(tmp_path, SERVING_MODELS=f"chameleon={models.chameleon}")
    yield server.start()
    server.stop()


def ask_slowly(server):
    """A request that is being answered, as (pool, future)."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(server.ask, act("slow"))
    server.wait_for(lambda: is_busy(server), 10, "the request to be in the worker")
    return pool, future


def is_busy(server) -> bool:
    line = 'model_server_frame_requests_count{model="chameleon",version="1"} '
    page = server.http.get("/metrics").text
    return line in page and float(page.partition(line)[2].split()[0]) > 0


def test_sigterm_finishes_what_runs_and_leaves_nothing(server):
    family = server.family()
    assert len(family) >= 2
    pool, future = ask_slowly(server)
    server.process.send(signal.SIGTERM)
    assert future.result(20).json() == {"predictions": ["slow"]}
    assert server.process.wait(30) == 0
    assert not psutil.wait_procs(family, timeout=10)[1]
    pool.shutdown()


def test_nothing_outlives_a_killed_server(server):
    family = server.family()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(server.ask, act("hang"))
        server.wait_for(lambda: is_busy(server), 10, "the worker to hang")
        psutil.Process(server.process.pid).kill()
        server.process.wait(10)
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
        assert hanging.exception() is not None


def test_worker_killed_while_idle_is_replaced(server):
    (worker,) = server.model("chameleon")["workers"]
    psutil.Process(worker).kill()
    server.wait_for(
        lambda: server.model("chameleon").get("workers") not in ([], [worker]), 20, "a new worker"
    )
    assert server.ask(act("answer")).json() == {"predictions": [1]}


@pytest.mark.parametrize(
    ("settings", "arguments", "line"),
    [
        ({"SERVING_PORT": "http"}, [], "SERVING_PORT='http': "),
        ({"SERVING_POLL": "0"}, [], "SERVING_POLL='0': "),
        ({}, ["--body-limit", "lots"], "--body-limit 'lots': "),
        ({"SERVING_MODELS": "a@@b"}, [], "SERVING_MODELS='a@@b': "),
        ({"SERVING_MODELS": "wine"}, [], "SERVING_MODELS: 'wine' is in a registry"),
        ({}, [], "SERVING_MODELS: nothing to serve"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}, [], "MLFLOW_TRACKING_URI="),
        ({"SERVING_LOG_LEVEL": "loud"}, [], "SERVING_LOG_LEVEL='loud': "),
        ({"SERVING_MODELS": "a=./b", "SERVING_CACHE": "/dev/null"}, [], "SERVING_CACHE: "),
        ({"SERVING_MODELS": "a=./b", "SERVING_HOST": "203.0.113.1"}, [], "SERVING_HOST, "),
    ],
)
def test_wrong_setting_stops_the_start_with_one_line(settings, arguments, line, tmp_path):
    variables = {"SERVING_CACHE": str(tmp_path), "SERVING_PORT": "0", **settings}
    run = subprocess.run(
        [sys.executable, "-m", "model_server", *arguments],
        cwd=tmp_path,  # where MLflow has no store
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith(f"model-server: {line}")
    assert run.stderr.count("\n") == 1


def healthy(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "model_server", "healthy"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_unhealthy_is_a_server_that_does_not_answer():
    run = healthy(**clean_environment(SERVING_PORT="1", SERVING_MODELS="a=./b"))
    assert run.returncode == 1
    assert "127.0.0.1:1/readyz" in run.stderr


def test_healthy_is_a_server_whose_models_are_missing(models, tmp_path):
    """Else a fresh stack could never come up, and the model never be trained. No proxy is asked."""
    server = ModelServer(tmp_path, SERVING_MODELS=f"good={models.chameleon},absent={tmp_path}")
    with server.process:
        server.wait_for(lambda: server.model("absent").get("state") == "failed", 90, "its refusal")
        server.wait_for(lambda: server.model("good").get("state") == "serving", 90, "the other")
        assert server.http.get("/readyz").status_code == 503
        proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}
        run = healthy(**server.process.environment | proxy)
        assert run.returncode == 0, run.stderr
        assert "absent is not served: there is no folder" in run.stdout
        assert "good" not in run.stdout
        assert server.ask(act("answer"), "good").status_code == 200


def test_unhealthy_is_a_server_that_knows_nothing_yet(tmp_path):
    """The registry takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = ModelServer(
            tmp_path, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        with server.process:
            server.wait_for(lambda: server.http.get("/livez").status_code == 200, 60, "an answer")
            run = healthy(**server.process.environment)
    assert run.returncode == 1
    assert "not asked yet" in run.stderr
