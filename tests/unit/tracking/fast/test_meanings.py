"""What has no meaning to MLflow's translation is stored as it came, whatever its value."""

import json

import pytest
from mlflow.entities.span import Span
from mlflow.tracing.otel.translation import translate_span_when_storing
from mlflow.tracing.utils.otlp import _set_otel_proto_anyvalue as set_value
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.integration.tracking.fast.exports import BAD_EVENTS, BAD_KEYS, read_by_translators
from tracking_server.fast.meanings import has_none

VALUES = ("x", "5", 7, '{"a": "b"}', '["c"]', "ai.generateText.doGenerate", "chat")
READ = (*read_by_translators(), *BAD_KEYS)


def added(attributes: dict[str, object], events: list[str]) -> dict[str, object]:
    """What MLflow adds to a span; it trips over some values of what it reads."""
    sent = trace_pb2.Span(trace_id=b"t" * 16, span_id=b"s" * 8)
    for key, value in attributes.items():
        set_value(sent.attributes.add(key=key).value, value)
    for name in events:
        event = sent.events.add(name=name)
        for key in ("gen_ai.prompt", "gen_ai.completion", "content", "output"):
            set_value(event.attributes.add(key=key).value, "x")
    span = Span.from_otel_proto(sent)
    try:
        stored = translate_span_when_storing(span)["attributes"]
    except TypeError as error:
        return {"tripped": error}
    return {key: text for key, text in stored.items() if key not in span.to_dict()["attributes"]}


def test_names_that_are_translated_have_a_meaning():
    assert len(READ) > 100
    translated = 0
    for name in READ:
        for value in VALUES:
            if added({name: value}, []):
                translated += 1
                assert not has_none((name,), ()), (name, value)
                assert not has_none(("http.method", name, "mlflow.spanInputs"), ("exception",))
    assert translated > 100


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_so_have_events(name):
    assert not has_none((), (name,)) or not added({}, [name])


@pytest.mark.parametrize(
    ("names", "events"),
    [
        ((), ()),
        (("http.method", "url.full", "ü", "my.key"), ("exception", "done")),
        (("mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs"), ()),
        (("mlflow.traceRequestId", "mlflow.spanFunctionName", "version"), ("note",)),
    ],
)
def test_usual_ones_have_none(names, events):
    assert has_none(names, events)
    assert added(dict.fromkeys(names, json.dumps({"a": 1})), list(events)).keys() <= {*names}


@pytest.mark.parametrize("name", ["session.id", "user.id", "gen_ai.conversation.id", "mlflow.new"])
def test_what_mlflows_store_reads_has_one(name):
    assert not has_none((name,), ())
