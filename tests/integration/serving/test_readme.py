"""README's ways to serve a model: of your own script, and without the stack."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harness.ports import free_port
from harness.processes import Process, clean_environment
from harness.readme import blocks
from host.paths import ROOT
from tests.integration.serving.models import wine_request

SOURCES = ("LICENSE", "pyproject.toml", "README.md", "model_server")


@pytest.mark.timeout(600)
def test_readme_serves_a_model_alone(models, tmp_path):
    (block,) = blocks("model-server")
    port = free_port()
    service = tmp_path / "services" / "serving"
    service.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / "services" / "serving" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, service / name)
    shutil.copytree(models.wine, tmp_path / "model")
    script = (
        f"cd {tmp_path} && {sys.executable} -m venv env && . env/bin/activate\n"
        + block.script.replace("8081", str(port))
    )
    environment = clean_environment(PATH=os.environ["PATH"], XDG_CACHE_HOME=tmp_path)
    del environment["PYTHONPATH"]
    server = Process(["bash", "-euo", "pipefail", "-c", script], environment, tmp_path / "log")

    def answer() -> httpx.Response | None:
        got = httpx.post(f"http://127.0.0.1:{port}/invocations", json=wine_request())
        return got if got.status_code == 200 else None

    with server:
        got = server.wait_for(answer, 500, "a prediction")
    assert got.json() == {"predictions": [0]}
    assert got.headers["x-model-name"] == "model"


@pytest.mark.timeout(600)
def test_readme_serves_what_your_own_script_logs(local_tracking, following, tmp_path):
    (block,) = blocks("script")
    script = block.script.replace("http://localhost:5000", local_tracking.uri)
    script = script.replace("localhost:8080", str(following.http.base_url).rstrip("/"))
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=clean_environment(PATH=binaries),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"predictions": ["leaves","stays"]}' in done.stdout
    assert following.model("churn")["version"] == "1"
