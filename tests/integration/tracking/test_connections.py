"""Many clients wait for PostgreSQL's connections, and nobody is refused."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.tracking import on_postgres_and_s3

CLIENTS = 80
LOG_BATCH = "/api/2.0/mlflow/runs/log-batch"
UNUSUAL = {"content-type": "application/json; charset=utf-8"}
"""By which MLflow answers, not the fast path."""


@pytest.fixture(scope="module")
def server(postgres, s3, tmp_path_factory):
    server = on_postgres_and_s3(tmp_path_factory.mktemp("connections"), postgres, s3)
    migrated = server.migrate()
    assert migrated.returncode == 0, migrated.stderr
    yield server
    server.stop()


def allow(postgres, server, connections):
    postgres.execute(f"ALTER DATABASE {server.database} CONNECTION LIMIT {connections}")


def test_too_few_are_refused_at_the_start(postgres, server):
    allow(postgres, server, 40)
    refused = server.run("serve")
    assert refused.returncode == 1
    (line,) = [line for line in refused.stderr.splitlines() if "tracking-server:" in line]
    assert "PostgreSQL allows 40 connections, and TRACKING_WORKERS=2 needs 48" in line


def test_clients_wait_for_few(postgres, server):
    allow(postgres, server, 48)
    server.start()
    with httpx.Client(base_url=server.uri, timeout=120, limits=httpx.Limits()) as http:
        made = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()
        run = made["run"]["info"]["run_id"]

        def ask(number: int) -> int:
            metric = {"key": f"m{number}", "value": 1, "timestamp": 1, "step": 1}
            body = {"run_id": run, "metrics": [metric]}
            return http.post(LOG_BATCH, json=body, headers=UNUSUAL).status_code

        with ThreadPoolExecutor(CLIENTS) as threads:
            assert list(threads.map(ask, range(CLIENTS))) == [200] * CLIENTS
