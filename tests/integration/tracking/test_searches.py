"""No search is a 500, whatever its filter, its order and its page token."""

import base64
import os
import random
import secrets

import httpx
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

MOST = 10_000 if os.environ.get("FULL") == "1" else 300
"""Random searches."""
KEYS = [
    "tags.k",
    "tags.`k`",
    "params.p",
    "metrics.m",
    "name",
    "status",
    "attributes.start_time",
    "start_time",
    "run_id",
    "version_number",
    "creation_time",
    "created_time",
    "last_update_time",
    "creation_timestamp",
    "model_type",
    "dataset.name",
    "timestamp_ms",
    "execution_time",
    "trace.end_time_ms",
    "span.name",
    "span.attributes.x",
    "feedback.x",
    "prompt",
    "attributes",
    "source_path",
    "x",
    "é",
    "1",
]
OPERATORS = ["=", "!=", ">", "<=", "LIKE", "NOT LIKE", "ILIKE", "RLIKE", "IN", "NOT IN", "~", "=="]
NULLS = ["IS NULL", "IS NOT NULL", "IS", "NOT"]
VALUES = [
    "'v'",
    "1",
    "-1.5",
    "1e400",
    "9" * 30,
    "('a', 'b')",
    "()",
    "('a',",
    "(NULL)",
    "NULL",
    "''''",
]
VALUES += ["'a", "'['", "`k`", "'a' 'b'", "nan", "'%'", "'OK'"]
ORDERS = ["", " ASC", " DESC", " NULLS FIRST", ",y"]
TOKENS = [b"", b"1", b"[]", b"null", b'{"offset": "x"}', b'{"offset": -5}', b"\xff", b"9" * 25]
GET = {
    "/api/2.0/mlflow/registered-models/search": "filter",
    "/api/2.0/mlflow/model-versions/search": "filter",
    "/api/2.0/mlflow/traces": "filter",
    "/api/2.0/mlflow/webhooks": "filter",
    "/api/3.0/mlflow/mcp-servers": "filter_string",
}
POST = {
    "/api/2.0/mlflow/runs/search": "filter",
    "/api/2.0/mlflow/experiments/search": "filter",
    "/api/2.0/mlflow/logged-models/search": "filter",
    "/api/3.0/mlflow/datasets/search": "filter_string",
    "/api/3.0/mlflow/traces/search": "filter",
    "/api/3.0/mlflow/issues/search": "filter_string",
}


@pytest.fixture(scope="module", params=["tracking", "local_tracking"])
def uri(request):
    return request.getfixturevalue(request.param).uri


def search(dice: random.Random) -> tuple[str, str, dict]:
    """Method, path and arguments of one."""

    def comparison() -> str:
        key = dice.choice(KEYS)
        if dice.random() < 0.2:
            return f"{key} {dice.choice(NULLS)}"
        return f"{key} {dice.choice(OPERATORS)} {dice.choice(VALUES)}"

    path = dice.choice([*GET, *POST])
    order = [dice.choice(KEYS) + dice.choice(ORDERS) for _ in range(dice.choice((0, 0, 1, 2)))]
    asked: dict = {
        (GET | POST)[path]: dice.choice((" AND ", " OR ", ",")).join(
            comparison() for _ in range(dice.choice((1, 1, 2)))
        ),
        "max_results": 5,
    }
    if path.endswith("logged-models/search"):
        asked["order_by"] = [{"field_name": name} for name in order]
    elif order:
        asked["order_by"] = order
    if dice.random() < 0.1:
        asked["page_token"] = base64.b64encode(dice.choice(TOKENS)).decode()
    if path.endswith("v3/traces/search") or "3.0/mlflow/traces" in path:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        asked["locations"] = [place]
    elif path.endswith("issues/search"):
        asked["experiment_id"] = "0"
    elif path not in ("/api/2.0/mlflow/experiments/search", *GET) or path.endswith(
        "0/mlflow/traces"
    ):
        asked["experiment_ids"] = ["0"]
    return "GET" if path in GET else "POST", path, asked


def test_random_searches_are_answers_or_400s(uri):
    dice, statuses = random.Random(16), set()
    with httpx.Client(base_url=uri, timeout=60) as http:
        for _ in range(MOST):
            method, path, asked = search(dice)
            given = {"params": asked} if method == "GET" else {"json": asked}
            answer = http.request(method, path, **given)
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (path, asked, answer.text)
            assert "[SQL" not in answer.text
    assert statuses == {200, 400}


@pytest.mark.parametrize("asked", ["tags.k IS NULL", "tags.k IS NOT NULL", "name LIKE"])
def test_mlflows_client_is_told_what_is_wrong(uri, asked):
    with pytest.raises(MlflowException, match="INVALID_PARAMETER_VALUE"):
        MlflowClient(uri).search_model_versions(asked)


def test_what_is_understood_is_answered_as_ever(uri):
    client, name = MlflowClient(uri), secrets.token_hex(4)
    client.create_registered_model(name, tags={"k": name})
    assert [m.name for m in client.search_registered_models(f"tags.k = '{name}'")] == [name]
    run = client.create_run("0", tags={"k": name}).info.run_id
    found = client.search_runs(["0"], f"tags.k = '{name}' AND params.p IS NULL")
    assert [one.info.run_id for one in found] == [run]
