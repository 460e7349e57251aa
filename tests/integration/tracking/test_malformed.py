"""Whatever the body, no route answers a bare 500: what is the client's fault is a 400."""

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow.protos.mlflow_artifacts_pb2 import MlflowArtifactsService
from mlflow.protos.model_registry_pb2 import ModelRegistryService
from mlflow.protos.service_pb2 import MlflowService
from mlflow.protos.webhooks_pb2 import WebhookService
from mlflow.server import handlers

from harness.logins import Logins

SERVICES = (MlflowService, ModelRegistryService, MlflowArtifactsService, WebhookService)
OF_THE_UI = [
    ("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets"),
    ("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run"),
    ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
    ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
    ("POST", "/ajax-api/3.0/mlflow/issues/invoke"),
    ("POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke"),
    ("POST", "/ajax-api/3.0/jobs/search"),
    ("POST", "/ajax-api/3.0/jobs/"),
    ("POST", "/api/2.0/mlflow/users/create"),
    ("PATCH", "/api/2.0/mlflow/users/update-password"),
    ("POST", "/api/3.0/mlflow/roles/create"),
    ("POST", "/api/3.0/mlflow/mcp-servers"),
    ("POST", "/graphql"),
    ("POST", "/gateway/mlflow/v1/chat/completions"),
    ("POST", "/gateway/openai/v1/embeddings"),
    ("POST", "/gateway/anthropic/v1/messages"),
    ("POST", "/v1/traces"),
]
NO_OBJECTS = (b"[]", b'"x"', b"1", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000)
EMPTY = (b"", b"null", b"{}", b'{"unknown": 1}')
WRONG = ([], {}, "x", -1, None, 1e999)
"""Values of which most fields take some, and no field takes all."""
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def logins(tmp_path_factory):
    running = Logins.on_local_files(
        tmp_path_factory.mktemp("malformed"), TRACKING_WORKERS="1"
    ).start()
    yield running
    running.server.stop()


def by_message() -> list[tuple[str, str, object]]:
    """Methods, paths and messages of the routes that MLflow describes."""
    return [
        (method, re.sub(r"<[^>]+>", "x", path), message)
        for service in SERVICES
        for path, message, methods in handlers.get_service_endpoints(service, lambda same: same)
        for method in methods
        if path.startswith("/api/")
    ]


def failures(logins, asked: list[tuple[str, str, bytes]], user: str = "admin") -> list:
    with logins.client(user) as http, ThreadPoolExecutor(4) as threads:

        def ask(one):
            method, path, body = one
            answer = http.request(method, path, content=body, headers=JSON)
            is_bare = answer.status_code == 500 and "error_code" not in answer.text
            return (*one[:2], body[:80], answer.text[:80]) if is_bare else None

        return [bare for bare in threads.map(ask, asked) if bare]


def test_no_object_is_a_400(logins):
    routes = [(m, p) for m, p, _ in by_message() if m != "GET"] + OF_THE_UI
    assert len(routes) > 100
    assert failures(logins, [(*one, body) for one in routes for body in NO_OBJECTS + EMPTY]) == []
    with logins.client("eve") as http:
        for path, body in itertools.product(
            ("/api/2.0/mlflow/experiments/create", "/graphql"), NO_OBJECTS
        ):
            answer = http.post(path, content=body, headers=JSON)
            assert answer.status_code == 400, body[:20]
            assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
            assert len(answer.text) < 400


def test_a_value_of_the_wrong_type_is_a_400(logins):
    asked = [
        (method, path, json.dumps({field.name: value}).encode())
        for method, path, message in by_message()
        if method != "GET"
        for field in message.DESCRIPTOR.fields
        for value in WRONG
    ]
    assert len(asked) > 2000
    assert failures(logins, asked) == []


def test_a_parameter_of_the_wrong_form_is_a_400(logins):
    fields = [
        (path, field.name)
        for method, path, message in by_message()
        if method == "GET"
        for field in message.DESCRIPTOR.fields
    ]
    fields += [
        ("/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id=x&metric_key=y", "max_results"),
        ("/api/3.0/mlflow/mcp-servers", "page_token"),
    ]
    asked = [
        ("GET", f"{path}{'&' if '?' in path else '?'}{name}={value}", b"")
        for path, name in fields
        for value in ("x", "-1", "%C3%A9", "1e999")
    ]
    assert len(asked) > 300
    assert failures(logins, asked) == []


def test_what_is_wrong_is_said(logins):
    body = {"experiment_ids": ["0"], "max_results": []}
    with logins.client("eve") as http:
        answer = http.post("/api/2.0/mlflow/runs/search", json=body)
        assert answer.status_code == 400
        assert "wrong type" in answer.json()["message"]
        assert "'list'" in answer.json()["message"]
    assert "Traceback" in logins.server.log  # for whoever runs it


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "`query`"),
        ({"query": 1}, "`query`"),
        ({"query": "{"}, "Syntax Error"),
        ({"query": "{a}", "variables": []}, "`variables`"),
        ({"query": "{a}", "operationName": {}}, "`operationName`"),
        ({"query": "{a" * 3000 + "}" * 3000}, "nested too deeply"),
        ([{"query": "{a}"}], "must be a JSON object"),
    ],
)
def test_malformed_graphql_is_a_400(logins, body, said):
    with logins.client("eve") as http:
        answer = http.post("/graphql", json=body)
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert said in answer.json()["message"]
        assert http.get("/graphql").status_code == 400


def test_sound_graphql_is_answered_as_ever(logins):
    query = '{mlflowGetExperiment(input: {experimentId: "0"}) {experiment {name}}}'
    with logins.client("eve") as http:
        answer = http.post("/graphql", json={"query": query, "variables": None}).json()
        assert answer["data"]["mlflowGetExperiment"]["experiment"]["name"] == "Default"
        wrong = http.post("/graphql", json={"query": "{nothing}"})
        assert wrong.status_code == 200
        assert "Cannot query field" in wrong.json()["errors"][0]


def test_sound_bodies_pass_in_every_form(logins):
    name = "sound"
    with logins.client("eve") as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": name})
        assert made.status_code == 200
        experiment = made.json()["experiment_id"]
        twice = json.dumps(json.dumps({"max_results": 5}))  # as older clients do
        answer = http.post("/api/2.0/mlflow/experiments/search", content=twice, headers=JSON)
        assert name in answer.text
        run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment}).json()
        run_id = run["run"]["info"]["run_uuid"]
        file = {"run_uuid": run_id, "path": "list.json"}
        sent = http.post(
            "/ajax-api/2.0/mlflow/upload-artifact", params=file, content=b"[1]", headers=JSON
        )
        assert sent.status_code == 200
        got = http.get("/get-artifact", params=file)
        assert got.content == b"[1]"
