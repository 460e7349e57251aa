"""Many clients at once, on two workers: what was acknowledged is there, once."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

import httpx
import mlflow
import pytest

LOG_PARAMETER = "/api/2.0/mlflow/runs/log-parameter"
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"
CLIENTS = 12
CALLS = 60
"""Of each client."""


@pytest.fixture
def runs(tracking):
    client = mlflow.MlflowClient(tracking.uri)
    made = [client.create_run("0").info.run_id for _ in range(4)]
    return client, made


def history(client: mlflow.MlflowClient, run: str) -> dict[str, list[tuple]]:
    keys = client.get_run(run).data.metrics
    return {
        key: [(point.step, point.value) for point in client.get_metric_history(run, key)]
        for key in keys
    }


def test_what_was_acknowledged_is_there_once_and_the_latest_is_right(tracking, runs):
    client, made = runs
    deleted = client.create_run("0").info.run_id
    client.delete_run(deleted)

    def log(number: int) -> list[tuple[str, str, int, float]]:
        chance, acknowledged = random.Random(number), []
        with httpx.Client(base_url=f"{tracking.uri}/api/2.0/mlflow/runs", timeout=60) as http:
            for call in range(CALLS):
                run, key = chance.choice(made), chance.choice(["shared", f"own{number}"])
                step = call * CLIENTS + number
                point = {"key": key, "value": chance.random(), "timestamp": step, "step": step}
                kind = chance.random()
                if kind < 0.1:  # refused alone, whoever shares its transaction
                    answer = http.post("/log-metric", json={"run_id": deleted, **point})
                    assert answer.status_code == 400
                    continue
                if kind < 0.3:
                    body = {"run_id": run, "metrics": [point], "tags": [{"key": key, "value": "x"}]}
                    answer = http.post("/log-batch", json=body)
                elif kind < 0.4:  # MLflow's own code, beside
                    text = json.dumps({"run_id": run, **point})
                    headers = {"content-type": "application/json", "content-encoding": "identity"}
                    answer = http.post("/log-metric", content=text, headers=headers)
                else:
                    answer = http.post("/log-metric", json={"run_id": run, **point})
                assert answer.status_code == 200, answer.text
                acknowledged.append((run, key, step, point["value"]))
        return acknowledged

    with ThreadPoolExecutor(CLIENTS) as clients:
        logged = [point for points in clients.map(log, range(CLIENTS)) for point in points]

    for run in made:
        of_run: dict[str, list[tuple]] = {}
        for at, key, step, value in logged:
            if at == run:
                of_run.setdefault(key, []).append((step, value))
        points = history(client, run)
        assert {key: sorted(rows) for key, rows in points.items()} == {
            key: sorted(rows) for key, rows in of_run.items()
        }
        latest = client.get_run(run).data.metrics
        assert latest == {key: max(rows)[1] for key, rows in of_run.items()}
    assert client.get_run(deleted).data.metrics == {}


def test_of_contradicting_parameters_one_is_stored_and_the_others_are_refused(tracking, runs):
    client, (run, *_) = runs

    def log(value: int) -> int:
        body = {"run_id": run, "key": "depth", "value": str(value)}
        return httpx.post(f"{tracking.uri}{LOG_PARAMETER}", json=body).status_code

    with ThreadPoolExecutor(CLIENTS) as clients:
        statuses = list(clients.map(log, range(CLIENTS)))

    assert sorted(statuses) == [200] + [400] * (CLIENTS - 1)
    assert client.get_run(run).data.params == {"depth": str(statuses.index(200))}


def test_a_clients_calls_take_effect_in_their_order(tracking, runs):
    client, (run, *_) = runs
    with httpx.Client(base_url=f"{tracking.uri}/api/2.0/mlflow/runs", timeout=60) as http:
        for number in range(50):
            http.post("/set-tag", json={"run_id": run, "key": "stage", "value": str(number)})
            assert client.get_run(run).data.tags["stage"] == str(number)


def test_a_lost_connection_loses_nothing(tracking, postgres, runs):
    client, (run, *_) = runs
    with httpx.Client(base_url=f"{tracking.uri}/api/2.0/mlflow/runs", timeout=60) as http:
        for step in range(60):
            if step % 20 == 10:
                postgres.execute(CUT.format(tracking.database))
            point = {"key": "kept", "value": step, "timestamp": step, "step": step}
            answer = http.post("/log-metric", json={"run_id": run, **point})
            assert answer.status_code == 200, answer.text
    assert len(client.get_metric_history(run, "kept")) == 60
