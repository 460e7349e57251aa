"""The loads put on a tracking server: what is asked, by how many clients, what it must leave."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.load import Request
from benchmarks.tracking.filling import ALIAS, CREATED, LONG, SEARCHED, TARGETS, WRITTEN, experiment

API = "/api/2.0/mlflow"
FEW = 64  # runs that metrics are logged to
BATCH = 100
SPANS = 10
TRACE = b"a trace's number"  # as long as `{{n}}` is once there is a number in its place
ARGUMENTS = '{"question": "Which of the two is faster, and by how much?", "temperature": 0.2}'


@dataclass(frozen=True)
class Load:
    """One request after the other from each client, to some runs in turn."""

    name: str
    clients: int
    request: Request
    runs: str = WRITTEN  # the experiment they are of
    targets: int | None = None  # how many of them; None: all
    # Rows that are there afterwards, of requests numbered from {first}; None: it writes nothing.
    count: str | None = None
    rows: int = 1  # that a request writes
    at_most: int | None = None  # rows, where requests write to the same
    long: int = 1  # times the usual length, where a server answers few

    @property
    def label(self) -> str:
        return f"{self.name}, {self.clients} client{'s' if self.clients > 1 else ''}"


def post(path: str, **body: object) -> Request:
    """A call of MLflow's API."""
    return Request("POST", f"{API}/{path}", _filled(body))


def get(path: str, api: str = API) -> Request:
    return Request("GET", f"{api}/{path}", headers={})


def _filled(body: object) -> bytes:
    """JSON in which what is to be a number is no string: `"<{{n}}>"`."""
    return json.dumps(body).replace('"<', "").replace('>"', "").encode()


def _point(key: str) -> dict[str, object]:
    now = 1_700_000_000_000
    return {"key": key, "value": "<0.{{n}}>", "timestamp": now, "step": "<{{n}}>"}


def _pair() -> dict[str, str]:
    """One that its run does not have, by a name that other runs have too."""
    return {"key": "n{{k}}", "value": "{{n}}"}


def _search(most: int, order: Sequence[str] = (), query: str = "") -> Request:
    return post(
        "runs/search",
        experiment_ids=[str(experiment(SEARCHED))],
        filter=query,
        order_by=order,
        max_results=most,
        run_view_type="ACTIVE_ONLY",
    )


def _spans() -> Request:
    """A trace of a chain of spans, as an exporter of OpenTelemetry's sends it."""
    request, began = ExportTraceServiceRequest(), 1_700_000_000_000_000_000
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(SPANS):
        span = scope.spans.add(
            trace_id=TRACE,
            span_id=f"span {number:03}".encode(),
            parent_span_id=f"span {number - 1:03}".encode() if number else b"",
            name=f"step {number}",
            start_time_unix_nano=began + number * 10**6,
            end_time_unix_nano=began + 10**9 - number * 10**6,
        )
        span.status.code = 1
        for key, text in (("spanType", '"CHAIN"'), ("spanInputs", ARGUMENTS), ("spanOutputs", "1")):
            span.attributes.add(key=f"mlflow.{key}").value.string_value = text
    headers = {
        "Content-Type": "application/x-protobuf",
        "x-mlflow-experiment-id": str(experiment(WRITTEN)),
    }
    body = request.SerializeToString().replace(TRACE, b"{{n}}")
    return Request("POST", "/v1/traces", body, headers)


LOG_METRIC = Load(
    "log-metric",
    16,
    post("runs/log-metric", run_id="{{run}}", **_point("loss")),
    targets=FEW,
    count="SELECT count(*) FROM metrics WHERE step >= {first}",
)
GET_RUN = Load("get-run", 16, get("runs/get?run_id={{run}}"), runs=SEARCHED)
PAIRS = "SELECT count(*) FROM {table} WHERE key >= 'n' || {{first}} / 1000 AND key < 'o'"
USER_TAGS = {"mlflow.user": "someone", "mlflow.source.name": "train.py"}


def loads(points: int) -> list[Load]:
    """All of them; a history has so many points."""
    models = "registered-models"
    return [
        replace(LOG_METRIC, clients=1),
        LOG_METRIC,
        replace(LOG_METRIC, clients=64, long=2),
        Load(
            f"log-batch of {BATCH} metrics",
            4,
            post(
                "runs/log-batch",
                run_id="{{run}}",
                metrics=[_point(f"m{number}") for number in range(BATCH)],
            ),
            targets=FEW,
            count=LOG_METRIC.count,
            rows=BATCH,
        ),
        Load(
            "log-parameter",
            16,
            post("runs/log-parameter", run_id="{{run}}", **_pair()),
            count=PAIRS.format(table="params"),
        ),
        Load(
            "set-tag",
            16,
            post("runs/set-tag", run_id="{{run}}", **_pair()),
            count=PAIRS.format(table="tags"),
        ),
        Load(
            "create-run",
            16,
            post(
                "runs/create",
                experiment_id=str(experiment(CREATED)),
                start_time="<{{n}}>",
                run_name="a new one",
                tags=[{"key": key, "value": text} for key, text in USER_TAGS.items()],
            ),
            count="SELECT count(*) FROM runs WHERE start_time >= {first}",
        ),
        Load(
            "update-run",
            16,
            post("runs/update", run_id="{{run}}", status="FINISHED", end_time="<{{n}}>"),
            count="SELECT count(*) FROM runs WHERE end_time >= {first}",
            at_most=TARGETS,
        ),
        GET_RUN,
        Load("get-by-name", 16, get(f"experiments/get-by-name?experiment_name={SEARCHED}")),
        Load("search, page of 100", 4, _search(100, ["attributes.start_time DESC"]), long=3),
        Load(
            "search by metric and parameter, page of 100",
            4,
            _search(
                100,
                ["metrics.metric_1 DESC"],
                "metrics.metric_0 > 0.5 AND params.parameter_1 != '7'",
            ),
            long=3,
        ),
        Load("search, page of 1,000", 1, _search(1000), long=4),
        Load(
            f"history of {points:,} points",
            1,
            get("metrics/get-history?run_id={{run}}&metric_key=loss"),
            runs=LONG,
            long=5,
        ),
        Load(
            f"history of {points:,} points, as charts ask",
            1,
            get(
                "metrics/get-history-bulk-interval?run_ids={{run}}&metric_key=loss",
                API.replace("api", "ajax-api"),
            ),
            runs=LONG,
            long=3,
        ),
        Load(
            f"OTLP, {SPANS} spans a request",
            4,
            _spans(),
            count="SELECT count(*) FROM spans WHERE trace_id >= 'tr-' || "
            "encode('{first}'::bytea, 'hex')",
            rows=SPANS,
        ),
        Load("version by alias", 16, get(f"{models}/alias?name=model-7&alias={ALIAS}")),
        Load(
            "search of versions, page of 100",
            4,
            get("model-versions/search?max_results=100&filter=name%3D%27model-7%27"),
        ),
        Load(
            "search of models, as the model server polls",
            4,
            get(f"{models}/search?max_results=1000"),
        ),
    ]
