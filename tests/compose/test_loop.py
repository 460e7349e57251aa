"""Train, promote, served: the three commands that the stack is for, and promotion under load."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import mlflow
import pytest

from harness.waiting import wait_until


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
    """The champion answers, with what the same model says in this process."""
    version = champion(client)
    address = f"{stack.serving}/models/wine/invocations"

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


@pytest.mark.parametrize("manager", [[], ["uv"], ["local"]], ids=["default", "uv", "local"])
def test_mlflow_run_from_the_runner(stack, client, manager):
    before = {version.version for version in client.search_model_versions("name='wine'")}
    command = ["mlflow", "run", "projects/wine", *(["--env-manager", *manager] if manager else [])]
    done = stack.compose("--profile", "runner", "run", "--rm", "-T", "runner", *command)
    said = done.stdout + done.stderr
    assert re.search(rf"^run +http://localhost:{stack.tracking_port}/#/", said, re.MULTILINE)
    assert f"curl http://localhost:{stack.serving_port}/models/wine/invocations " in said
    assert "http://tracking:5000" not in said
    after = {version.version for version in client.search_model_versions("name='wine'")}
    assert len(after - before) == 1
    assert_wine_is_served(stack, client)


@pytest.mark.parametrize("closed", ["projects", "projects/wine"])
def test_the_runner_says_how_to_open_projects_that_it_may_not_read(stack, closed):
    """A clone under umask 077 is like that."""
    folder = stack.folder / closed
    before = folder.stat().st_mode
    folder.chmod(0o700)
    try:
        command = ["run", "--rm", "-T", "--no-deps", "runner", "mlflow", "run", "projects/wine"]
        done = stack.compose(*command, check=False)
    finally:
        folder.chmod(before)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "chmod -R go+rX projects" in line]
    assert line.startswith(f"refused: the runner's user may not read {closed}:")
    assert "Traceback" not in done.stderr
