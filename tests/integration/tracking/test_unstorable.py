"""What the database cannot hold is refused at once, named, and alone; its words stay here."""

import json
import secrets
import time

import httpx
import pytest
from mlflow.entities.span import Span, create_mlflow_span
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.tracking import MlflowClient
from mlflow.utils.rest_utils import MlflowHostCreds
from opentelemetry.sdk.trace import TracerProvider

NUL = "a\0b"
PREFIX = "/api/2.0/mlflow"
AT_ONCE = 5
"""Seconds; MLflow's client tries for 247 where it believes that the server is at fault."""
WORDS = ("psycopg2", "sqlite3", "SQL", "INSERT", "parameters", "sqlalche", "autoflush", "Key (")
"""Of databases and of SQLAlchemy."""


class Made:
    """What requests refer to."""

    def __init__(self, uri: str) -> None:
        self.http = httpx.Client(base_url=uri, timeout=60)
        self.client = MlflowClient(uri)
        self.name = secrets.token_hex(4)
        self.experiment = self.client.create_experiment(self.name)
        self.run = self.client.create_run(self.experiment).info.run_id
        self.client.create_registered_model(self.name)
        self.client.create_model_version(self.name, f"runs:/{self.run}/x", self.run)


@pytest.fixture(scope="module", params=["tracking", "local_tracking"])
def made(request):
    server = request.getfixturevalue(request.param)
    made = Made(server.uri)
    made.server, made.holds_nul = server, request.param == "local_tracking"
    yield made
    made.http.close()


def trace(made):
    return {
        "trace_id": f"tr-{secrets.token_hex(16)}",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": made.experiment},
        },
        "request_time": "2026-01-01T00:00:00Z",
        "state": "OK",
    }


FIELDS = {
    "tags[1].value": lambda made: (
        "runs/log-batch",
        {"run_id": made.run, "tags": [{"key": "a", "value": "b"}, {"key": "k", "value": NUL}]},
    ),
    "params[0].value": lambda made: (
        "runs/log-batch",
        {"run_id": made.run, "params": [{"key": "p", "value": NUL}]},
    ),
    "value": lambda made: (
        "runs/set-tag",
        {"run_id": made.run, "key": "k", "value": NUL},
    ),
    "run_id": lambda _: (
        "runs/log-metric",
        {"run_id": NUL, "key": "k", "value": 1, "timestamp": 1},
    ),
    "run_name": lambda made: (
        "runs/create",
        {"experiment_id": made.experiment, "run_name": NUL},
    ),
    "name": lambda _: ("experiments/create", {"name": f"{secrets.token_hex(4)}{NUL}"}),
    "new_name": lambda made: (
        "experiments/update",
        {"experiment_id": made.experiment, "new_name": NUL},
    ),
    "description": lambda _: (
        "registered-models/create",
        {"name": secrets.token_hex(4), "description": NUL},
    ),
    "tags[0].value": lambda made: (
        "model-versions/create",
        {
            "name": made.name,
            "source": f"runs:/{made.run}/x",
            "run_id": made.run,
            "tags": [{"key": "k", "value": NUL}],
        },
    ),
    "datasets[0].dataset.name": lambda made: (
        "runs/log-inputs",
        {
            "run_id": made.run,
            "datasets": [
                {"dataset": {"name": NUL, "digest": "d", "source_type": "s", "source": "s"}}
            ],
        },
    ),
    "filter": lambda made: (
        "runs/search",
        {"experiment_ids": [made.experiment], "filter": f"tags.k = '{NUL}'"},
    ),
    "trace.trace_info.tags.k": lambda made: (
        "/api/3.0/mlflow/traces",
        {"trace": {"trace_info": {**trace(made), "tags": {"k": NUL}}}},
    ),
    "trace.trace_info.request_preview": lambda made: (
        "/api/3.0/mlflow/traces",
        {"trace": {"trace_info": {**trace(made), "request_preview": NUL}}},
    ),
}


@pytest.mark.parametrize("field", FIELDS)
def test_nul_is_a_400_that_names_the_field(made, field):
    path, body = FIELDS[field](made)
    path = path if path.startswith("/") else f"{PREFIX}/{path}"
    answer = made.http.post(path, json=body)
    if made.holds_nul:
        assert answer.status_code in (200, 404)
        return
    assert answer.status_code == 400, answer.text
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert answer.json()["message"].startswith(f"`{field}` holds the character NUL")


def test_mlflows_client_is_told_at_once(made):
    if made.holds_nul:
        pytest.skip("SQLite holds NUL")
    started = time.monotonic()
    for call in (
        lambda: made.client.set_tag(made.run, "k", NUL),
        lambda: made.client.log_param(made.run, "k", NUL),
        lambda: made.client.update_registered_model(made.name, NUL),
        lambda: made.client.get_experiment_by_name(NUL),
    ):
        with pytest.raises(MlflowException, match="NUL"):
            call()
    assert time.monotonic() - started < AT_ONCE


def test_numbers_and_halves_of_characters_are_400s(made):
    for number in (2**63, 10**30):
        answer = made.http.get(f"{PREFIX}/experiments/get?experiment_id={number}")
        assert answer.status_code in (400, 404)
    body = {"experiment_ids": [str(2**70)]}
    assert made.http.post(f"{PREFIX}/runs/search", json=body).status_code in (200, 400)
    half = {"name": f"io.github.x/{made.name}", "description": "\ud800"}
    answer = made.http.post(
        "/api/3.0/mlflow/mcp-servers",
        content=json.dumps(half),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert "half of a surrogate pair" in answer.json()["message"]


def span(name, **attributes):
    started = TracerProvider().get_tracer("test").start_span(name)
    made = create_mlflow_span(started, f"tr-{started.context.trace_id:032x}")
    made.set_attributes(attributes)
    made.end()
    return made


@pytest.mark.parametrize(
    "bad",
    [
        lambda: span(NUL),
        lambda: span("tag", **{"mlflow.traceTag.k": NUL}),
        lambda: span("session", **{"session.id": NUL}),
        lambda: span("cost", **{"mlflow.llm.cost": "much"}),
    ],
    ids=["name", "tag", "session", "cost"],
)
def test_of_a_batch_the_other_traces_are_stored(made, bad):
    bad, *good = [bad(), span("first"), span("second")]
    store = RestStore(lambda: MlflowHostCreds(made.server.uri))
    if made.holds_nul and bad.name != "cost":
        store.log_spans(made.experiment, [good[0], bad, good[1]])
        return
    with pytest.raises(MlflowException, match=r"NUL|attribute") as refused:
        store.log_spans(made.experiment, [good[0], bad, good[1]])
    assert bad.trace_id in str(refused.value)
    assert not any(one.trace_id in str(refused.value) for one in good)
    for one in good:
        assert made.client.get_trace(one.trace_id).data.spans[0].name == one.name
    with pytest.raises(MlflowException, match="not found"):
        made.client.get_trace(bad.trace_id)


def test_of_a_span_that_comes_again_in_a_request_the_last_is_stored(made):
    one, other = span("first"), span("other")
    again = one.to_dict() | {"name": "again"}
    store = RestStore(lambda: MlflowHostCreds(made.server.uri))
    store.log_spans(made.experiment, [one, other, Span.from_dict(again)])
    names = [stored.name for stored in made.client.get_trace(one.trace_id).data.spans]
    assert names == ["again"]
    assert made.client.get_trace(other.trace_id).data.spans[0].name == "other"


def test_answers_and_log_have_no_sql(made):
    value = "hush-hush"
    made.client.create_registered_model(f"{made.name}-2")
    asked = [
        ("POST", "experiments/create", {"name": made.name, "tags": [{"key": "k", "value": value}]}),
        ("POST", "experiments/update", {"experiment_id": "0", "new_name": made.name}),
        ("POST", "registered-models/rename", {"name": f"{made.name}-2", "new_name": made.name}),
        ("POST", "runs/create", {"experiment_id": made.experiment, "user_id": value * 100}),
        ("POST", "registered-models/create", {"name": value * 100, "description": value}),
    ]
    for method, path, body in asked:
        answer = made.http.request(method, f"{PREFIX}/{path}", json=body)
        assert answer.status_code == 400 or made.holds_nul, answer.text  # of any length, it does
        if answer.status_code == 400:
            assert not [word for word in (*WORDS, value) if word in answer.text]
    assert value not in made.server.log
