"""A real model server of the test's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
import psutil

from harness.ports import free_port
from harness.processes import Process, clean_environment

STARTS_WITHIN = 90
"""Seconds; the imports of the workers take most of them on a busy machine."""


class ModelServer:
    """`python -m model_server` on a free port, with the given SERVING_* settings."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        variables = {"SERVING_PORT": self.port, "SERVING_CACHE": folder / "cache", **settings}
        environment = clean_environment(**{name: str(value) for name, value in variables.items()})
        self.process = Process(
            [sys.executable, "-m", "model_server"], environment, folder / "serving.log"
        )
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def start(self) -> ModelServer:
        self.process.start()
        self.process.wait_for(self.is_ready, STARTS_WITHIN, "the model server to be ready")
        return self

    def stop(self) -> int | None:
        self.http.close()
        return self.process.stop(timeout=40)

    def is_ready(self) -> bool:
        return self.http.get("/readyz").status_code == 200

    def ask(self, content: object, model: str | None = None, **headers: str) -> httpx.Response:
        path = f"/models/{model}/invocations" if model else "/invocations"
        return self.http.post(path, json=content, headers=headers)

    def model(self, name: str) -> dict:
        """Its entry in /models; empty when there is none."""
        answer = self.http.get(f"/models/{name}")
        return answer.json() if answer.status_code == 200 else {}

    def wait_for(self, condition, timeout: float, what: str):
        return self.process.wait_for(condition, timeout, what)

    def log_lines(self, message: str) -> list[dict]:
        lines = (line for line in self.process.text().splitlines() if line.startswith("{"))
        entries = map(json.loads, lines)
        return [entry for entry in entries if entry.get("message") == message]

    def family(self) -> list[psutil.Process]:
        """Every process that the server started, directly or not."""
        return psutil.Process(self.process.pid).children(recursive=True)


def assert_error(answer: httpx.Response, status: int, error_code: str | None = None) -> str:
    """The one shape that every error has. Returns its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    content = answer.json()
    assert content.keys() == {"error_code", "message"}
    if error_code:
        assert content["error_code"] == error_code
    assert 0 < len(content["message"]) <= 2000
    for leak in ("Traceback", 'File "', "/srv/", "site-packages"):
        assert leak not in content["message"]
    return content["message"]
