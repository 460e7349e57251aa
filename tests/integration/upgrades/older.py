"""An older MLflow as its users had it: its own server, its own client, in its own environment."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from harness.ports import free_port
from harness.processes import Process, clean_environment
from host.paths import ROOT

RELEASES = ROOT / "tests" / "releases"
BELONGINGS = RELEASES / "belongings.py"
UV = Path(sys.executable).parent / "uv"


class Older:
    """One older release; `python` has its client."""

    def __init__(self, release: str, folder: Path) -> None:
        environment = folder / release
        self.python = environment / "bin" / "python"
        self._folder = folder
        lock = RELEASES / f"mlflow-{release}" / "requirements.txt"
        run([UV, "venv", "--quiet", "--python", sys.executable, environment])
        install = [UV, "pip", "install", "--quiet", "--require-hashes", "--no-build"]
        run([*install, "--python", self.python, "--requirement", lock])

    def server(self, backend: str, *options: str | Path, **variables: str | Path) -> Process:
        """`mlflow server` of that release, running; `.uri` is its address."""
        port = free_port()
        command = [self.python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        process = Process(
            [*command, "--backend-store-uri", backend, *options],
            clean_environment(**variables, PYTHONPATH=""),
            self._folder / f"server-{port}.log",
        )
        process.uri = f"http://127.0.0.1:{port}"
        process.start().wait_for(lambda: healthy(process.uri), 120, "the older server")
        return process


def healthy(uri: str) -> bool:
    with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
        return answer.status == 200


def belongings(python: str | Path, command: str, uri: str, *rest: str, **variables: str | Path):
    """Last output of tests/releases/belongings.py, under one interpreter's MLflow."""
    # One answer of 500 is enough: retries take a minute.
    settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "PYTHONPATH": "", **variables}
    said = run([python, BELONGINGS, command, uri, *rest], env=clean_environment(**settings)).stdout
    return json.loads(said.splitlines()[-1])


def run(command: list[str | Path], **options) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done
