"""Real tracers, many at once, on two workers: nothing is lost, and MLflow's client reads it all."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import mlflow
import pytest
from mlflow.tracing.utils.otlp import _set_otel_proto_anyvalue as set_value
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from harness.ports import free_port
from harness.processes import clean_environment
from harness.tracking import on_postgres_and_s3
from tests.integration.tracking.fast.pair import Side

CLIENTS = 6
TRACES = 20
"""Of each client."""
BROKEN = "broken"
# Children end first, and are sent first: then their trace is there when its root comes.
TRACED = f"""
import threading, mlflow

@mlflow.trace(span_type="RETRIEVER")
def look_up(word):
    return {{"word": word, "found": [1, 2.5, None]}}

@mlflow.trace(name="answer", attributes={{"version": 3}})
def answer(question, client):
    if "5" in question:
        with mlflow.start_span("inner") as span:
            span.set_inputs({{"a": ["ü"]}})
            span.add_event(mlflow.entities.SpanEvent("note", attributes={{"at": "here"}}))
    found = [look_up(word) for word in question.split()]
    if question.endswith("7 7"):
        raise ValueError("no answer")
    return found

def client(number):
    for trace in range({TRACES}):
        try:
            answer(f"{{trace}} {{trace}}", number)
        except ValueError:
            pass

threads = [threading.Thread(target=client, args=(number,)) for number in range({CLIENTS})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
mlflow.flush_trace_async_logging()
"""


@pytest.fixture(scope="module")
def side(postgres, s3, tmp_path_factory):
    """A server on two workers."""
    port = str(free_port())
    folder = tmp_path_factory.mktemp("exporters")
    server = on_postgres_and_s3(folder, postgres, s3, TRACKING_METRICS_PORT=port)
    assert server.migrate().returncode == 0
    made = Side(server.start(), lambda text: postgres.execute(text, server.database))
    yield made
    made.server.stop()


class Exporter(SpanExporter):
    """Sends spans of OpenTelemetry's SDK by OTLP, as its exporter does, which is not installed."""

    def __init__(self, uri: str, experiment: str) -> None:
        headers = {"x-mlflow-experiment-id": experiment, "content-type": "application/x-protobuf"}
        self._http = httpx.Client(base_url=uri, headers=headers, timeout=60)
        self.statuses: Counter[int] = Counter()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        request = ExportTraceServiceRequest()
        of_resource = request.resource_spans.add()
        for key, value in spans[0].resource.attributes.items():
            set_value(of_resource.resource.attributes.add(key=key).value, value)
        scope = of_resource.scope_spans.add()
        for span in spans:
            sent = scope.spans.add(
                trace_id=span.context.trace_id.to_bytes(16),
                span_id=span.context.span_id.to_bytes(8),
                parent_span_id=span.parent.span_id.to_bytes(8) if span.parent else b"",
                name=span.name,
                kind=span.kind.value + 1,
                start_time_unix_nano=span.start_time,
                end_time_unix_nano=span.end_time,
                flags=0x100,
            )
            sent.status.code = span.status.status_code.value
            sent.status.message = span.status.description or ""
            for key, value in span.attributes.items():
                set_value(sent.attributes.add(key=key).value, value)
            for event in span.events:
                added = sent.events.add(name=event.name, time_unix_nano=event.timestamp)
                for key, value in event.attributes.items():
                    set_value(added.attributes.add(key=key).value, value)
        body, headers = request.SerializeToString(), {}
        if len(spans) % 2:
            body, headers = gzip.compress(body), {"content-encoding": "gzip"}
        answer = self._http.post("/v1/traces", content=body, headers=headers)
        self.statuses[answer.status_code] += 1
        return SpanExportResult.SUCCESS


def found(side: Side, experiment: str) -> dict[str, mlflow.entities.Trace]:
    """All that MLflow's client finds, by their ids."""
    client, token, traces = mlflow.MlflowClient(side.server.uri), None, {}
    while True:
        page = client.search_traces(locations=[experiment], max_results=50, page_token=token)
        traces |= {trace.info.trace_id: trace for trace in page}
        token = page.token
        if not token:
            return traces


def test_what_opentelemetrys_sdk_sends_is_there(side):
    experiment = mlflow.MlflowClient(side.server.uri).create_experiment("sdk")

    def trace(number: int) -> tuple[Counter[int], dict[str, list[str]]]:
        exporter = Exporter(side.server.uri, experiment)
        resource = Resource.create({"service.name": f"client {number}"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        # Batches that end anywhere: most traces come in several requests.
        provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=7))
        tracer = provider.get_tracer("test")
        made: dict[str, list[str]] = defaultdict(list)
        for count in range(TRACES):
            with tracer.start_as_current_span("root", {"http.method": "GET", "n": count}) as root:
                spans = made[f"tr-{root.context.trace_id:032x}"]
                spans.append("root")
                for step in range(count % 5):
                    with tracer.start_as_current_span(f"step {step}") as span:
                        spans.append(f"step {step}")
                        if step == 3:
                            span.record_exception(ValueError("ü"))
        provider.shutdown()
        # What is refused is refused alone, whoever shares its transaction.
        refused = TracerProvider(resource=resource, shutdown_on_exit=False)
        refused.add_span_processor(BatchSpanProcessor(exporter))
        refused.get_tracer("test").start_span(f"{BROKEN}\0").end()
        refused.shutdown()
        return exporter.statuses, made

    with ThreadPoolExecutor(CLIENTS) as clients:
        results = list(clients.map(trace, range(CLIENTS)))

    traces = found(side, experiment)
    made = {name: spans for _, of_client in results for name, spans in of_client.items()}
    assert traces.keys() == made.keys()
    for name, trace in traces.items():
        assert sorted(span.name for span in trace.data.spans) == sorted(made[name])
        assert trace.info.state == "OK"
        assert trace.info.tags["service.name"].startswith("client ")
    statuses = sum((counted for counted, _ in results), Counter())
    assert statuses[400] == CLIENTS
    assert statuses[200] == statuses.total() - CLIENTS
    fast = 'tracking_fast_requests_total{method="POST",route="/v1/traces"}'
    assert side.counted("tracking_fast_.*")[fast] > statuses[200] / 2


def test_what_mlflows_client_traces_is_there(side):
    experiment = mlflow.MlflowClient(side.server.uri).create_experiment("client")
    before = side.answered_fast()
    subprocess.run(
        [sys.executable, "-c", TRACED],
        env=clean_environment(
            MLFLOW_TRACKING_URI=side.server.uri,
            MLFLOW_EXPERIMENT_ID=experiment,
            PATH=os.environ["PATH"],
        ),
        check=True,
        timeout=120,
    )

    traces = found(side, experiment)
    assert len(traces) == CLIENTS * TRACES
    for trace in traces.values():
        (root,) = (span for span in trace.data.spans if span.parent_id is None)
        number, _ = root.inputs["question"].split()
        is_broken = number == "7"
        assert trace.info.state == ("ERROR" if is_broken else "OK")
        assert trace.info.request_time == root.start_time_ns // 10**6
        assert trace.info.trace_metadata["mlflow.trace.sizeStats"]
        names = [span.name for span in trace.data.spans]
        assert names.count("answer") == 1
        assert len(names) == 3 + ("5" in number)
        found_words = [span.outputs["word"] for span in trace.data.spans if "look" in span.name]
        assert found_words == [number, number]
        assert (root.outputs is None) == is_broken
        assert root.get_attribute("version") == 3
    asked = Counter(trace.data.spans[0].inputs["question"] for trace in traces.values())
    assert set(asked.values()) == {CLIENTS}
    assert side.answered_fast() - before > CLIENTS
