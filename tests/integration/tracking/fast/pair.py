"""Two servers that are asked the same: one with the fast path, one where MLflow answers all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import httpx

from harness.tracking import Tracking

API = "/api/2.0/mlflow"
ROOTS = ("/ajax-api/", "/api/", "/v1/")
ROWS = {
    "metrics": "SELECT run_uuid, key, value, timestamp, step, is_nan FROM metrics",
    "latest": "SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics",
    "params": "SELECT run_uuid, key, value FROM params",
    "tags": "SELECT run_uuid, key, value FROM tags",
    "runs": """SELECT run_uuid, name, source_type, source_name, entry_point_name, user_id, status,
      start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id
      FROM runs""",
}
MADE_UP = re.compile(r"(?<![0-9a-f])(?!(.)\1{31})[0-9a-f]{32}(?![0-9a-f])|[a-z]+-[a-z]+-[0-9]+")
"""Ids of runs that the test did not choose, and names."""
COLUMNS = """run_uuid, name, user_id, status, start_time, lifecycle_stage, artifact_uri,
experiment_id"""
BELONGINGS = (
    *("metrics", "params", "tags", "dataset_inputs", "model_outputs"),
    *("aliases", "latest_versions", "model_versions"),
)
TIMES = re.compile(
    r'("(?:creation_time|last_update_time|creation_timestamp|last_updated_timestamp)":) ?\d+'
)
OF_EACH = ("date", "content-length", "connection")
"""Headers that may differ: MLflow's JSON has spaces, and a refused body may not be read."""
Answer = tuple[int, dict[str, str], object]
"""Status, headers and content."""


class Side:
    """One of the servers, and its database, by `query`."""

    def __init__(self, server: Tracking, query: Callable[[str], list[tuple]]) -> None:
        self.server = server
        self.query = query
        self.http = httpx.Client(base_url=server.uri + API, timeout=60)

    def create_runs(self, ids: list[str]) -> None:
        """New ones of these ids, in the experiment that every server has."""
        for number, run in enumerate(ids):
            at = f"mlflow-artifacts:/0/{run}/artifacts"
            row = (run, f"run {number}", "me", "RUNNING", number // 2, "active", at, 0)
            self.query(f"INSERT INTO runs ({COLUMNS}) VALUES {row}")  # noqa: S608

    def ask(self, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> Answer:
        """What comes of a request with a body."""
        return _answer(self.http.request(method, self._at(path), content=body, headers=headers))

    def get(self, path: str, headers: dict[str, str]) -> Answer:
        """The same of a GET."""
        return _answer(self.http.get(self._at(path), headers=headers))

    def _at(self, path: str) -> str:
        """What is none of the API's has a path from the root."""
        root = self.server.uri if path.startswith(ROOTS) else self.server.uri + API
        return root + path

    def rows(self) -> dict[str, list[tuple]]:
        """All that has been logged, sorted."""
        return {
            name: sorted((tuple(map(_known, row)) for row in self.query(text)), key=repr)
            for name, text in ROWS.items()
        }

    def answered_fast(self) -> float:
        """How many requests the fast path has answered."""
        return sum(self.counted("tracking_fast_requests_total").values())

    def counted(self, pattern: str) -> dict[str, float]:
        """What the server has counted by series whose names are of that pattern."""
        port = self.server.environment["TRACKING_METRICS_PORT"]
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
        series = re.findall(rf"^((?:{pattern})(?:{{.*}})?) (.+)$", page, re.M)
        return {name: float(number) for name, number in series}


def _known(value: object) -> object:
    return MADE_UP.sub("made up", value) if isinstance(value, str) else value


def _answer(answer: httpx.Response) -> Answer:
    headers = {name: text for name, text in answer.headers.items() if name not in OF_EACH}
    text = TIMES.sub(r"\1 0", MADE_UP.sub("made up", answer.text))
    try:
        content = json.loads(text, parse_constant=str)
    except ValueError:
        return answer.status_code, headers, re.sub(r"\s+", " ", text)
    return answer.status_code, headers, _ordered(content, "/get-latest" in answer.url.path)


def _ordered(answer: object, inside: bool = False) -> object:
    """The same with what belongs to a run, an experiment or a model sorted: MLflow gives that no
    order."""
    if isinstance(answer, dict):
        return {
            name: sorted(_ordered(part, True), key=repr)
            if inside and name in BELONGINGS
            else _ordered(part, True)
            for name, part in answer.items()
        }
    return [_ordered(part, inside) for part in answer] if isinstance(answer, list) else answer
