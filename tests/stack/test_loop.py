"""Train, promote, served: the three commands that the stack is for, and promotion under load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import mlflow
import pytest
from sklearn.dummy import DummyRegressor

from tests.support import wait_until

ROWS = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}}


def champion(client, model: str = "wine") -> str:
    return client.get_model_version_by_alias(model, "champion").version


def curl(address: str, body: dict) -> tuple[dict[str, str], object]:
    """Headers (lower case) and parsed body of what README's curl command gets."""
    header = ["--header", "content-type: application/json"]
    command = ["curl", "-sS", "--include", "--fail-with-body", address, *header]
    done = subprocess.run(
        [*command, "--data", json.dumps(body)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, content = done.stdout.partition("\n\n")
    lines = (line.split(":", 1) for line in head.splitlines() if ":" in line)
    return {name.lower(): value.strip() for name, value in lines}, json.loads(content)


def assert_wine_is_served(stack, client) -> None:
    """The champion answers on /invocations, with what the same model says in this process."""
    version = champion(client)
    address = f"{stack.serving}/invocations"

    def served() -> bool:
        answer = httpx.post(address, json={})
        return answer.headers.get("x-model-version") == version

    wait_until(served, 10, f"wine version {version} is served")
    model = mlflow.pyfunc.load_model("models:/wine@champion")
    rows = model.input_example
    expected = model.predict(rows)
    headers, answer = curl(address, {"dataframe_split": rows.to_dict(orient="split", index=False)})
    assert headers["x-model-name"] == "wine"
    assert headers["x-model-version"] == version
    assert answer == {"predictions": list(expected)}


def test_mlflow_run_from_the_host_then_curl(stack, client):
    binaries = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["mlflow", "run", "projects/wine", "--env-manager", "uv"],
        cwd=stack.folder,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": stack.tracking,
            "PATH": os.pathsep.join([binaries, os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_wine_is_served(stack, client)


@pytest.mark.parametrize("manager", [[], ["local"]], ids=["default", "local"])
def test_mlflow_run_from_the_runner(stack, client, manager):
    before = {version.version for version in client.search_model_versions("name='wine'")}
    command = ["mlflow", "run", "projects/wine", *(["--env-manager", *manager] if manager else [])]
    stack.compose("--profile", "runner", "run", "--rm", "-T", "runner", *command)
    after = {version.version for version in client.search_model_versions("name='wine'")}
    assert len(after - before) == 1
    assert_wine_is_served(stack, client)


def register(name: str, value: float) -> str:
    """Log and register a model that always says `value`; its version."""
    model = DummyRegressor(strategy="constant", constant=value).fit([[0.0]], [value])
    info = mlflow.sklearn.log_model(model, name="model", registered_model_name=name)
    return info.registered_model_version


class Load:
    """Clients that ask one model as fast as they get answers, until told to stop."""

    CLIENTS = 8

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: Counter[tuple[int, str, str]] = Counter()
        self.newest = ""
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.CLIENTS)]

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(self.address, json=ROWS)
                    version = answer.headers.get("x-model-version", "")
                    seen = (answer.status_code, version, answer.text)
                except httpx.HTTPError as error:
                    version, seen = "", (0, "", repr(error))
                with self._lock:
                    self.answers[seen] += 1
                    self.newest = version

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_promotion_and_rollback_under_load(stack, client):
    mlflow.set_experiment("promotion under load")
    first, second = (str(register("swap", value)) for value in (1.0, 2.0))
    client.set_registered_model_alias("swap", "champion", first)
    address = f"{stack.serving}/models/swap/invocations"
    wait_until(lambda: httpx.post(address, json=ROWS).status_code == 200, 30, "swap is served")

    took = []
    with Load(address) as load:
        wait_until(lambda: sum(load.answers.values()) > 200, 30, "load is on")
        for version in (second, first):
            client.set_registered_model_alias("swap", "champion", version)
            moved = time.monotonic()
            wait_until(lambda v=version: load.newest == v, 30, f"version {version} is served")
            took.append(time.monotonic() - moved)
            asked = sum(load.answers.values())
            wait_until(lambda n=asked: sum(load.answers.values()) > n + 200, 30, "more answers")

    failed = {seen: count for seen, count in load.answers.items() if seen[0] != 200}
    assert not failed
    bodies = {(version, body) for _, version, body in load.answers}
    assert {(v, json.dumps(json.loads(b)["predictions"])) for v, b in bodies} == {
        (first, "[1.0, 1.0]"),
        (second, "[2.0, 2.0]"),
    }
    assert max(took) <= 2, f"promotion and rollback took {took} s"
