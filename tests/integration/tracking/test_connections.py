"""Many clients wait for PostgreSQL's connections, and nobody is refused."""

import contextlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg2
import pytest

from harness.tracking import MLFLOW_ANSWERS, on_postgres_and_s3

CLIENTS = 60
SET_TAG = "/api/2.0/mlflow/runs/set-tag"


@pytest.fixture(scope="module")
def server(postgres, s3, tmp_path_factory):
    server = on_postgres_and_s3(
        tmp_path_factory.mktemp("connections"), postgres, s3, TRACKING_WORKERS="1"
    )
    migrated = server.migrate()
    assert migrated.returncode == 0, migrated.stderr
    yield server
    server.stop()


def allow(postgres, server, connections):
    postgres.execute(f"ALTER DATABASE {server.database} CONNECTION LIMIT {connections}")


def test_too_few_are_refused_at_the_start(postgres, server):
    allow(postgres, server, 20)
    refused = server.run("serve")
    assert refused.returncode == 1
    (line,) = [line for line in refused.stderr.splitlines() if "tracking-server:" in line]
    assert re.search(r"PostgreSQL allows 20 connections, and TRACKING_WORKERS=1 needs \d\d:", line)


@contextlib.contextmanager
def held(postgres, server, seconds):
    """Keep everybody from a table for a while, as a migration would, so that all connections of
    whoever wants it are in use at one time."""
    with (
        contextlib.closing(
            psycopg2.connect(host=postgres.socket, user="postgres", dbname=server.database)
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("LOCK TABLE runs")
        release = threading.Timer(seconds, connection.rollback)
        release.start()
        yield
        release.join()


def test_clients_wait_for_few(postgres, server):
    allow(postgres, server, 30)
    server.start()
    with httpx.Client(base_url=server.uri, timeout=120, limits=httpx.Limits()) as http:

        def ask(_: int) -> int:
            body = {"run_id": "none", "key": "k", "value": "v"}
            return http.post(SET_TAG + MLFLOW_ANSWERS, json=body).status_code

        assert ask(0) == 404  # there is no such run
        with held(postgres, server, 3), ThreadPoolExecutor(CLIENTS) as threads:
            assert list(threads.map(ask, range(CLIENTS))) == [404] * CLIENTS
