"""Two servers that are asked the same: one with the fast path, one where MLflow answers all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import httpx

from harness.tracking import Tracking

API = "/api/2.0/mlflow"
ROWS = {
    "metrics": "SELECT run_uuid, key, value, timestamp, step, is_nan FROM metrics",
    "latest": "SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics",
    "params": "SELECT run_uuid, key, value FROM params",
    "tags": "SELECT run_uuid, key, value FROM tags WHERE key <> 'mlflow.runName'",
}
"""But for the names that MLflow makes up."""


class Side:
    """One of the servers, its database's rows by `query`, and its runs in the order of making."""

    def __init__(self, server: Tracking, query: Callable[[str], list[tuple]]) -> None:
        self.server = server
        self.query = query
        self.http = httpx.Client(base_url=server.uri + API, timeout=60)
        self.runs: list[str] = []

    def create_run(self) -> None:
        """A new one, in the experiment that every server has."""
        body = {"experiment_id": "0", "start_time": 1}
        answer = self.http.post("/runs/create", json=body).raise_for_status()
        self.runs.append(answer.json()["run"]["info"]["run_id"])

    def ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, object]:
        """Status and content; runs by their number."""
        for number, run in enumerate(self.runs):
            body = body.replace(f"RUN{number:03}".encode(), run.encode())
        answer = self.http.post(path, content=body, headers=headers)
        return answer.status_code, self._numbered(answer.text)

    def rows(self) -> dict[str, list[tuple]]:
        """All that has been logged, sorted."""
        rows = {name: map(self._row, self.query(text)) for name, text in ROWS.items()}
        return {name: sorted(every, key=repr) for name, every in rows.items()}

    def answered_fast(self) -> float:
        """How many requests the fast path has answered."""
        port = self.server.environment["TRACKING_METRICS_PORT"]
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
        return sum(map(float, re.findall(r"^tracking_fast_requests_total{.*} (.+)$", page, re.M)))

    def _row(self, values: tuple) -> tuple:
        return tuple(
            f"RUN{self.runs.index(value):03}" if value in self.runs else value for value in values
        )

    def _numbered(self, text: str) -> object:
        for number, run in enumerate(self.runs):
            text = text.replace(run, f"RUN{number:03}")
        try:
            return json.loads(text)
        except ValueError:
            return re.sub(r"\s+", " ", text)
