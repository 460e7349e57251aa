"""Spans as OpenTelemetry's exporters and MLflow's client send them, and the rows they become.

What MLflow's SqlAlchemyStore.log_spans gives no meaning is plain. Of all else the functions here
raise an error, and nothing has happened: it is MLflow's to store.
"""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

import msgspec
from google.protobuf.message import DecodeError
from mlflow.entities.trace_state import TraceState
from mlflow.exceptions import MlflowException
from mlflow.server.otel_api import _KNOWN_SERVICE_NAMES
from mlflow.tracing.constant import SpanAttributeKey
from mlflow.tracing.utils import dump_span_attribute_value
from mlflow.tracing.utils.otlp import _decode_otel_proto_anyvalue
from mlflow.tracing.utils.truncation import _get_truncated_preview
from mlflow.utils.validation import _validate_trace_tag
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.sdk.resources import Resource as ResourceOfSdk

from tracking_server.fast import meanings
from tracking_server.fast.plain import is_text

LONGEST_NAME = 500
"""Characters: the column of types has as many, and what is longer is no usual name."""
LONGEST_NAMES = 8192
"""Characters of names of a span's attributes and events, which are kept."""
RESOURCES, LONGEST_RESOURCE = 500, 8192
"""How many are kept, of how many bytes: a program has one."""
STATUSES = (
    ("UNSET", "STATUS_CODE_UNSET", TraceState.OK.value),
    ("OK", "STATUS_CODE_OK", TraceState.OK.value),
    ("ERROR", "STATUS_CODE_ERROR", TraceState.ERROR.value),
)
"""By OTLP's number: as the column has it, as the content has it, and that of a trace."""
ERROR = 2
MILLISECOND = 1_000_000
STARTS = frozenset('"[{ \t\n\r')
"""What a string begins with that is JSON of a string, a list or an object."""
MEANINGFUL = frozenset(
    {SpanAttributeKey.SPAN_TYPE, SpanAttributeKey.INPUTS, SpanAttributeKey.OUTPUTS}
)
LONGEST_NUMBER = 4000
"""Digits that Python converts."""
NO_ROOT = TraceState.IN_PROGRESS.value
encode = json.JSONEncoder(ensure_ascii=False).encode
"""As MLflow's json.dumps does."""
Tag = tuple[str, str]


class UnusualError(ValueError):
    """It is MLflow's to store."""


class Span(NamedTuple):
    """A row of `spans`."""

    span_id: str
    parent: str | None
    name: str
    type: str | None
    status: str
    start: int
    end: int
    content: str


class Trace(msgspec.Struct):
    """What one request says of a trace. Times are in milliseconds."""

    id: str
    start: int = 2**63
    end: int = 0
    status: str = NO_ROOT
    request: str | None = None
    response: str | None = None
    spans: list[Span] = []
    tags: tuple[Tag, ...] | None = None


class Export(msgspec.Struct):
    """What one request stores."""

    experiment: int
    traces: list[Trace]
    spans: int


def export(body: bytes, experiment: int) -> Export | None:
    """What is plain of a request, unpacked."""
    try:
        return _export(ExportTraceServiceRequest.FromString(body), experiment)
    except (DecodeError, RecursionError, TypeError, ValueError):
        return None


def _export(request: ExportTraceServiceRequest, experiment: int) -> Export | None:
    traces: dict[bytes, Trace] = {}
    ids = []
    for of_resource in request.resource_spans:
        tags = _tags(of_resource.resource.SerializeToString())
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                if len(span.trace_id) != 16 or len(span.span_id) != 8:
                    raise UnusualError
                trace = traces.get(span.trace_id)
                if trace is None:
                    trace = traces[span.trace_id] = Trace(f"tr-{span.trace_id.hex()}")
                if trace.tags is None:
                    trace.tags = tags
                _add(trace, span)
                ids.append((span.trace_id, span.span_id))
    if not ids or len(set(ids)) < len(ids):
        return None
    return Export(experiment, list(traces.values()), len(ids))


def _add(trace: Trace, span: Sent) -> None:
    start, end, code = span.start_time_unix_nano, span.end_time_unix_nano, span.status.code
    parent = span.parent_span_id
    if (
        not MILLISECOND <= start <= end < 2**63
        or code >= len(STATUSES)
        or code < 0
        or span.links
        or len(parent) not in (0, 8)
        or (parent and not any(parent))
    ):
        raise UnusualError
    name, events = _name(span.name), span.events
    attributes, kind = _attributes(span)
    names = tuple(attributes)
    of_events = tuple(dict.fromkeys([event.name for event in events]))
    if sum(map(len, names + of_events)) > LONGEST_NAMES or not meanings.has_none(names, of_events):
        raise UnusualError
    of_column, of_content, of_trace = STATUSES[code]
    content = {
        "trace_id": b64encode(span.trace_id).decode(),
        "span_id": b64encode(span.span_id).decode(),
        "parent_span_id": b64encode(parent).decode() if parent else None,
        "name": name,
        "start_time_unix_nano": start,
        "end_time_unix_nano": end,
        "events": [
            {
                "name": event.name,
                "time_unix_nano": event.time_unix_nano,
                "attributes": {
                    one.key: _decode_otel_proto_anyvalue(one.value) for one in event.attributes
                },
            }
            for event in events
        ],
        "status": {"code": of_content, "message": span.status.message if code == ERROR else ""},
        "attributes": {**attributes, SpanAttributeKey.REQUEST_ID: f'"{trace.id}"'},
        "links": [],
    }
    trace.spans.append(
        Span(
            span.span_id.hex(),
            parent.hex() if parent else None,
            name,
            kind,
            of_column,
            start,
            end,
            encode(content),
        )
    )
    trace.start = min(trace.start, start // MILLISECOND)
    trace.end = max(trace.end, end // MILLISECOND)
    if not parent:
        if trace.status != NO_ROOT:  # of several MLflow takes one or another
            raise UnusualError
        trace.status = of_trace
        trace.request = _preview(attributes.get(SpanAttributeKey.INPUTS), "user")
        trace.response = _preview(attributes.get(SpanAttributeKey.OUTPUTS), "assistant")


def _attributes(span: Sent) -> tuple[dict[str, str], str | None]:
    """As MLflow's Span.from_otel_proto and its sanitize_attributes leave them: JSON, of which one
    layer is taken off what was JSON of a string, a list or an object when it came. And the type."""
    attributes: dict[str, str] = {}
    kind = None
    for one in span.attributes:
        key, value = one.key, one.value
        is_string = value.WhichOneof("value") == "string_value"
        if is_string:
            text = value.string_value
            if key == SpanAttributeKey.SPAN_TYPE:
                kind = _name(text)
            decoded = _parsed(text)
            if not isinstance(decoded, str | dict | list):
                text = encode(text)
        else:
            decoded = _decode_otel_proto_anyvalue(value)
            text = dump_span_attribute_value(decoded)
        if key in MEANINGFUL:
            if key == SpanAttributeKey.SPAN_TYPE and not is_string:
                raise UnusualError
            if isinstance(decoded, dict) and decoded.get("model"):  # MLflow reads its name there
                raise UnusualError
        attributes[key] = text
    return attributes, kind


def _parsed(text: str) -> object:
    """What it is JSON of; None for a number too, and where it is none."""
    if text[:1] in STARTS or len(text) > LONGEST_NUMBER:
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(text)
    return None


def _preview(text: str | None, role: str) -> str | None:
    if text is None:
        return None
    preview: object = _get_truncated_preview(text, role)
    if not isinstance(preview, str) or "\0" in preview:
        raise UnusualError
    preview.encode()  # halves of characters, which JSON can name, have no code
    return preview


def _name(text: str) -> str:
    if not is_text(text, LONGEST_NAME):
        raise UnusualError
    return text


@lru_cache(RESOURCES)
def _tags(resource: bytes) -> tuple[Tag, ...] | None:
    """As MLflow gives them to traces whose spans are of a resource; None if that is nothing."""
    if len(resource) > LONGEST_RESOURCE:
        raise UnusualError
    given = {
        one.key: _decode_otel_proto_anyvalue(one.value)
        for one in Resource.FromString(resource).attributes
    }
    if str(given.get("service.name")) in _KNOWN_SERVICE_NAMES:  # their roots get it
        raise UnusualError
    attributes = ResourceOfSdk(given).attributes if given else {}
    tags = []
    for key, value in attributes.items():
        if not key.startswith(("telemetry.sdk.", "mlflow.")):
            text = value if isinstance(value, str) else json.dumps(value)
            with contextlib.suppress(MlflowException):
                tags.append(_validate_trace_tag(key, text))
    if any("\0" in text for tag in tags for text in tag):
        raise UnusualError
    return tuple(tags) if attributes else None
