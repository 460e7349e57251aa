"""The fast path and MLflow's own code, sent the same traces by OTLP: what they answer and store."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.ports import free_port
from harness.tracking import on_postgres_and_s3
from tests.integration.tracking.fast.exports import Maker
from tests.integration.tracking.fast.pair import Side

CALLS = 20_000 if os.environ.get("FULL") == "1" else 400
SEED = int(os.environ.get("SEED") or random.randrange(2**32))
TABLES = ("trace_info", "spans", "trace_tags", "trace_request_metadata")
ASSESSMENTS = "SELECT assessment_id, trace_id, experiment_id, trace_timestamp_ms FROM assessments"
ASSESS = """INSERT INTO assessments (assessment_id, trace_id, experiment_id, trace_timestamp_ms,
  name, assessment_type, value, created_timestamp, last_updated_timestamp, source_type, valid)
SELECT 'a-{number}', request_id, experiment_id, timestamp_ms, 'good', 'feedback', 'true', 1, 1,
  'HUMAN', true FROM trace_info WHERE request_id = 'tr-{trace}'"""
MOVE = "UPDATE experiments SET artifact_location = '{}' WHERE experiment_id = {}"
COUNTED = (
    "mlflow_(?:spans_ingested|trace_ingestion|otlp_request_payload|otlp_spans).*"
    "|mlflow_otlp_request_duration_seconds_count"
)
"""All that MLflow counts of OTLP but how long it takes."""
JSON = {"content-type": "application/json"}
pytestmark = pytest.mark.timeout(7200 if CALLS > 1000 else 600)


@pytest.fixture(scope="module")
def sides(postgres, s3, tmp_path_factory):
    """With the fast path, and without."""

    def make(fast: str) -> Side:
        server = on_postgres_and_s3(
            tmp_path_factory.mktemp("side"),
            postgres,
            s3,
            TRACKING_FAST=fast,
            TRACKING_WORKERS="1",
            TRACKING_METRICS_PORT=str(free_port()),
            PYTHONHASHSEED="0",  # some of MLflow's messages show a set
        )
        assert server.migrate().returncode == 0
        side = Side(server.start(), lambda text: postgres.execute(text, server.database))
        for name in ("one", "two", "three", "four"):
            created = side.ask("/experiments/create", json.dumps({"name": name}).encode(), JSON)
            assert created[0] == 200
        assert side.ask("/experiments/delete", b'{"experiment_id": "2"}', JSON)[0] == 200
        side.query(MOVE.format("s3://bucket/folder/", 3))
        side.query(MOVE.format("s3://bucket/folder?version=5", 4))
        return side

    with ThreadPoolExecutor() as threads:
        made = list(threads.map(make, "10"))
    yield made
    for side in made:
        side.server.stop()


def rows(side: Side) -> dict[str, list[tuple]]:
    """All that is stored of traces."""
    statements = {table: f"SELECT * FROM {table}" for table in TABLES}  # noqa: S608
    statements["assessments"] = ASSESSMENTS
    return {name: sorted(side.query(text), key=repr) for name, text in statements.items()}


def assert_same_rows(fast: Side, mlflow: Side, seen: str) -> None:
    ours, theirs = rows(fast), rows(mlflow)
    for table in theirs:
        differing = set(ours[table]) ^ set(theirs[table])
        assert not differing, (seen, table, sorted(differing, key=repr))
        assert len(ours[table]) == len(theirs[table])


def test_answers_and_databases_are_the_same(sides, record_property):
    print(f"SEED={SEED}")
    maker = Maker(SEED)
    fast, mlflow = sides
    statuses: Counter[int] = Counter()
    for number in range(CALLS):
        if number % 10 == 9:
            method, path, body = maker.change()
            headers = JSON
        elif number % 10 == 4:
            statement = ASSESS.format(number=number, trace=maker.trace().hex())
            for side in sides:
                side.query(statement)
            continue
        else:
            method = "POST"
            path, body, headers = maker.request()
        ours, theirs = (side.ask(path, body, headers, method) for side in sides)
        seen = f"call {number}: {method} {path} {body!r} {headers}"
        assert ours == theirs, seen
        statuses[theirs[0]] += 1
        if number % 200 == 199 or number == CALLS - 1 or os.environ.get("EACH"):
            assert_same_rows(fast, mlflow, seen)
    assert fast.counted(COUNTED) == mlflow.counted(COUNTED)
    record_property("calls by status", dict(statuses))
    print(dict(statuses), fast.answered_fast())
    assert statuses[200] > CALLS / 3
    assert statuses[400] > CALLS / 100
    assert fast.answered_fast() > statuses[200] / 3
    assert mlflow.answered_fast() == 0
