"""The fast path and MLflow's own code, asked the same: answers and databases are the same."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections import Counter

import pytest

from harness.ports import free_port
from harness.tracking import on_local_files, on_postgres_and_s3
from tests.integration.tracking.fast.pair import Side

CALLS = 100_000 if os.environ.get("FULL") == "1" else 1_000
SEED = int(os.environ.get("SEED") or random.randrange(2**32))
RUNS = 6
pytestmark = pytest.mark.timeout(7200 if CALLS > 10_000 else 600)


@pytest.fixture(scope="module", params=["postgres", "sqlite"])
def sides(request, tmp_path_factory):
    """With the fast path, and without."""
    make = {"postgres": on_postgres, "sqlite": on_sqlite}[request.param]
    made = [
        make(
            request,
            tmp_path_factory.mktemp("side"),
            TRACKING_FAST=fast,
            TRACKING_METRICS_PORT=str(free_port()),
        )
        for fast in "10"
    ]
    for _ in range(RUNS):
        for side in made:
            side.create_run()
    yield made
    for side in made:
        side.server.stop()


def on_postgres(request, folder, **settings):
    postgres, s3 = request.getfixturevalue("postgres"), request.getfixturevalue("s3")
    server = on_postgres_and_s3(folder, postgres, s3, **settings)
    assert server.migrate().returncode == 0
    return Side(server.start(), lambda text: postgres.execute(text, server.database))


def on_sqlite(_, folder, **settings):
    server = on_local_files(folder, **settings)
    assert server.migrate().returncode == 0

    def query(statement):
        with sqlite3.connect(folder / "mlflow.db") as database:
            return database.execute(statement).fetchall()

    return Side(server.start(), query)


KEYS = ["loss", "acc", "a b", "x/y", "ä", "k" * 250, "best.loss"]
BAD_KEYS = ["", "k" * 251, "../a", "/a", "a//b", "a?b", "a\0b", 5, None, ["a"], "mlflow.note"]
VALUES = [0, 1, -1, 0.1, 1e308, -1e-308, 2**53 + 1, "NaN", "Infinity", "-Infinity", 1e22, -0.0]
BAD_VALUES = ["1.5", "nan", "", None, True, [1], {}, "x" * 300, 10**400]
TIMES = [0, 1, 2, 1_700_000_000_000, 2**63 - 1]
BAD_TIMES = [-1, 2**63, "5", 1.0, 1.5, None, True, "x"]
STEPS = [0, 1, 2, 2, -1, 2**63 - 1, -(2**63)]
BAD_STEPS = ["5", 1.0, 1.5, None, 2**63, True]
TEXTS = [*["1"] * 20, "", "2", "v" * 500, "ü\n'\"\\", "v" * 6000]
BAD_TEXTS = ["v" * 6001, "v" * 8001, "a\0b", 5, None, True, {}]
TAGS = ["color", "a b", "team/x", "ö", "t" * 250]
HEADERS = [{"content-type": "application/json"}] * 40 + [
    {},
    {"content-type": "text/plain"},
    {"content-type": "application/json; charset=utf-8"},
    {"content-type": "application/json", "origin": "http://localhost:1"},
    {"content-type": "application/json", "host": "elsewhere.example"},
]
BODIES = [b"", b"null", b"[]", b"{", b'"{}"', b"{}", b"\xff", b'{"run_id": NaN}']


class Maker:
    """Requests: plain ones mostly, in which one thing or another is unusual."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._rare = 0.06

    def request(self) -> tuple[str, bytes, dict[str, str]]:
        name = self._random.choice(["log-metric", "log-parameter", "set-tag", "log-batch"])
        headers = self._random.choice(HEADERS)
        if self._random.random() < 0.03:
            return f"/runs/{name}", self._random.choice(BODIES), headers
        if self._random.random() < 0.01:
            change = self._random.choice(["delete", "restore", "restore"])
            return f"/runs/{change}", json.dumps({"run_id": self._run()}).encode(), headers
        body = getattr(self, name.replace("-", "_"))()
        if self._random.random() < self._rare:
            self._spoil(body)
        return f"/runs/{name}", json.dumps(body).encode(), headers

    def log_metric(self) -> dict:
        return self._run_of(self._metric())

    def log_parameter(self) -> dict:
        return self._run_of(self._pair(KEYS))

    def set_tag(self) -> dict:
        return self._run_of(self._pair(TAGS))

    def log_batch(self) -> dict:
        body = {"run_id": self._run()}
        for kind, make in (
            ("metrics", self._metric),
            ("params", lambda: self._pair(KEYS)),
            ("tags", lambda: self._pair(TAGS)),
        ):
            if self._random.random() < 0.7:
                body[kind] = [make() for _ in range(self._random.choice([0, 1, 2, 5]))]
        return body

    def _metric(self) -> dict:
        metric = {
            "key": self._one(KEYS, BAD_KEYS),
            "value": self._one(VALUES, BAD_VALUES),
            "timestamp": self._one(TIMES, BAD_TIMES),
            "step": self._one(STEPS, BAD_STEPS),
        }
        if self._random.random() < 0.1:
            del metric["step"]
        return metric

    def _pair(self, keys: list[str]) -> dict:
        return {"key": self._one(keys, BAD_KEYS), "value": self._one(TEXTS, BAD_TEXTS)}

    def _run_of(self, body: dict) -> dict:
        body["run_id"] = self._run()
        if self._random.random() < 0.5:
            body["run_uuid"] = body["run_id"]
        return body

    def _run(self) -> object:
        bad = ["0" * 32, "", "x", None, 7]
        return self._one([f"RUN{number:03}" for number in range(RUNS)], bad)

    def _one(self, good: list, bad: list) -> object:
        return self._random.choice(bad if self._random.random() < self._rare / 3 else good)

    def _spoil(self, body: dict) -> None:
        name = self._random.choice([*body, "model_id", "dataset_name", "nothing", "run_uuid"])
        if name in body and self._random.random() < 0.5:
            del body[name]
        else:
            body[name] = self._random.choice(["", "x", "0" * 32, None, [], {}, 5])


def test_answers_and_databases_are_the_same(sides, record_property):
    print(f"SEED={SEED}")
    maker = Maker(SEED)
    fast, mlflow = sides
    statuses: Counter[int] = Counter()
    for number in range(CALLS):
        path, body, headers = maker.request()
        ours, theirs = (side.ask(path, body, headers) for side in (fast, mlflow))
        assert ours == theirs, f"call {number}: {path} {body!r} {headers}"
        statuses[theirs[0]] += 1
        if number % 500 == 499 or number == CALLS - 1:
            assert fast.rows() == mlflow.rows()
    record_property("calls by status", dict(statuses))
    print(dict(statuses))
    assert statuses[200] > CALLS / 3
    assert statuses[400] > CALLS / 20
    assert fast.answered_fast() > statuses[200] / 2
    assert mlflow.answered_fast() == 0
