"""Requests by OTLP, made at random: plain ones mostly, in which one thing or another is unusual."""

from __future__ import annotations

import gzip
import json
import random
import zlib

from mlflow.tracing.otel.translation import _TRANSLATORS
from mlflow.tracing.utils.otlp import _set_otel_proto_anyvalue as set_value
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

BEGAN = 1_700_000_000_000_000_000
MILLISECOND = 10**6
PROTOBUF = {"content-type": "application/x-protobuf", "user-agent": "OTel-OTLP-Exporter-Python/1"}
TYPES = ["CHAIN", "LLM", "UNKNOWN", '"CHAIN"', "", "ü"]
BAD_TYPES = ["t" * 501, "a\0b", 5, None, ["a"], {}]
TEXTS = [
    *("", "plain", "ü ☃ 𝄞", 'quo"ted\\', '"quoted"', "1", "null", "true", "1.5", " 7", "NaN"),
    *('{"a": 1}', ' {"a": "ü"}', "[1, 2]", '{"a":', '"', "\ufeff{}", "\t[]", '"[1]"', '"5"'),
    *('{"messages": [{"role": "user", "content": "hi"}, {"role": "x", "content": "bye"}]}',),
    *('{"choices": [{"message": {"role": "assistant", "content": [{"type": "text"}]}}]}',),
    *('{"request": {"input": [{"role": "user", "content": ["a", "b"]}]}}', '{"messages": [1]}'),
    *("long " * 300, '{"long": "' + "ü" * 1200 + '"}', "9" * 3000, '"\\ud83d\\ude00"'),
]
BAD_TEXTS = [
    *("a\0b", '"a\\u0000b"', '{"messages": [{"role": "user", "content": "a\\u0000b"}]}'),
    *('{"messages": [{"role": "user", "content": "\\ud800"}]}', '"\\ud800"', "9" * 5000),
    *('{"model": "gpt-4o"}', '{"model": ""}', '{"model": 5}', "[" + "9" * 5000 + "]"),
    *('{"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}',),
    *('{"messages": [{"role": "user", "content": [{"type": "text", "text": ["a"]}]}]}',),
]
VALUES = [
    *(0, 1, -1, 2**63 - 1, -(2**63), 1.5, -0.0, 1e300, True, False, None, [], [1, "a", None]),
    *({}, {"a": 1}, {"question": "why?", "deep": {"list": [{"x": 1.25}]}}, {"ü": "☃"}),
]
BAD_VALUES = [
    *(float("nan"), float("inf"), b"bytes", [b"x"], {"a": b"x"}, {"model": "gpt-4o"}),
    *({"model": ""}, {"a\0b": "\0"}),
]
KEYS = ["http.method", "my.key", "thread.id", "code.function", "ü", "x" * 250, "status", "a b"]
OF_MLFLOW = [
    "spanFunctionName",
    "experimentId",
    "traceRequestId",
    "spanLogLevel",
    "spanStartTimeNs",
]
BAD_KEYS = [
    *("", "x" * 501, "session.id", "user.id", "gen_ai.conversation.id", "lk.x", "lk.tts.y"),
    *(f"mlflow.{name}" for name in ("chat.tokenUsage", "llm.model", "llm.cost", "llm.provider")),
    *(f"mlflow.{name}" for name in ("chat.tools", "message.format", "other", "linkedPrompts")),
    *(f"mlflow.traceTag.{name}" for name in ("a", "mlflow.traceName", "mlflow.artifactLocation")),
    *("mlflow.traceTag.mlflow.trace.spansLocation", "llm.prompts.0.content", "ai.prompt.messages"),
]
USAGE = ['{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}', '{"total_cost": 0.5}', "7"]
EVENTS = ["exception", "done", "ü", ""]
BAD_EVENTS = ["gen_ai.content.prompt", "gen_ai.content.completion", "tool.output", "lk.x"]
RESOURCES = [
    {},
    {"service.name": "shop"},
    {"service.name": "unknown_service", "telemetry.sdk.language": "python"},
    {"telemetry.sdk.name": "opentelemetry"},
    {"service.name": "shop", "process.pid": 5, "host.arch": "x", "flag": True, "mlflow.x": "1"},
    {"list": ["a", "b"], "ratio": 0.5, "": "nothing", "bad?key": "x", "k" * 300: "x", "empty": ""},
]
BAD_RESOURCES = [
    *(
        {"service.name": "claude-code"},
        {"service.name": "a\0b"},
        {"a\0b": "x"},
        {"long": "v" * 9000},
    ),
    *({"dict": {"a": 1}}, {"bytes": b"x"}, {"mixed": [1, "a"]}, {"none": None}),
]
EXPERIMENTS = ["0", "1"]
BAD_EXPERIMENTS = ["2", "3", "4", "77", "x", "", "00", "-1", "9" * 12, "1.0", None]
HEADERS = [{}] * 30 + [
    *({"origin": "http://localhost:1"}, {"origin": "http://elsewhere.example"}, {"cookie": "a=b"}),
    *({"host": "elsewhere.example"}, {"x-mlflow-run-id": "0" * 32}, {"x-mlflow-run-id": ""}),
    *({"content-type": "application/json"}, {"content-type": "text/plain"}),
    *({"content-type": "application/x-protobuf; charset=utf-8"}, {"content-type": ""}),
    *({"user-agent": "mlflow-python-client/3.17.2"}, {"accept": "*/*"}),
]
PACKED = [
    *((name, gzip.compress) for name in ("gzip", "gzip", "gzip", "GZIP", "identity", "br")),
    *((name, zlib.compress) for name in ("deflate", "gzip")),
    ("gzip", lambda body: gzip.compress(body)[:-3]),
    ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    ("gzip", lambda body: gzip.compress(body) + b"\0\0"),
    ("gzip", lambda body: gzip.compress(body) + b"more"),
]
BODIES = [b"", b"{}", b"\xff\xff", b"\n\x00", b'{"resourceSpans": []}', b"\n\x02\n\x00", b"hello"]


def read_by_translators() -> list[str]:
    """Names of attributes that MLflow's translators look for."""
    found = set()
    for translator in _TRANSLATORS:
        for name in filter(str.isupper, dir(translator)):
            value = getattr(translator, name)
            parts = [value] if isinstance(value, str) else value
            found |= {one for one in parts or () if isinstance(one, str) and "." in one}
    return sorted(found)


class Maker:
    """Makes them. Ids of traces come again, so that requests are about traces that are there."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._rare = 0.01
        self._traces: list[bytes] = []
        self._read = read_by_translators()
        self._texts = [*TEXTS, *VALUES]

    def request(self) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and headers."""
        self._rare = self._random.choice([0, 0, 0.003, 0.03])
        headers = PROTOBUF | {"x-mlflow-experiment-id": self._one(EXPERIMENTS, BAD_EXPERIMENTS)}
        headers |= self._random.choice(HEADERS)
        body = self._body()
        if self._random.random() < 0.2:
            name, pack = self._one(PACKED[:3], PACKED, 0.3)
            headers["content-encoding"], body = name, pack(body)
        path = "/v1/traces?x=1" if self._random.random() < 0.01 else "/v1/traces"
        return path, body, {name: text for name, text in headers.items() if text is not None}

    def change(self) -> tuple[str, str, bytes]:
        """Method, path and body of what MLflow alone does to traces."""
        trace = f"tr-{self.trace().hex()}"
        keys = ["color", "mlflow.traceName", "service.name", "mlflow.trace.spansLocation"]
        tag = {"key": self._random.choice(keys), "value": self._random.choice(["a", "OTHER"])}
        experiment = self._random.choice(EXPERIMENTS)
        return self._random.choice(
            [
                ("POST", "/api/3.0/mlflow/traces", self._info(trace, experiment)),
                ("POST", "/api/3.0/mlflow/traces", self._info(trace, experiment)),
                ("PATCH", f"/api/3.0/mlflow/traces/{trace}/tags", json.dumps(tag).encode()),
                (
                    "POST",
                    "/api/3.0/mlflow/traces/delete-traces",
                    json.dumps({"experiment_id": experiment, "request_ids": [trace]}).encode(),
                ),
            ]
        )

    def trace(self) -> bytes:
        """An id, of one of few."""
        if not self._traces or self._random.random() < 0.4:
            new = self._random.randbytes(16)
            self._traces = [*self._traces[-7:], new]
        return self._random.choice(self._traces)

    def _info(self, trace: str, experiment: str) -> bytes:
        metadata = {"mlflow.user": "me", "mlflow.trace.tokenUsage": USAGE[0]}
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
        info = {
            "trace_id": trace,
            "trace_location": place,
            "request_time": self._random.choice(["2023-11-14T22:13:19.5Z", "2023-11-14T22:13:21Z"]),
            "execution_duration": "1.5s",
            "state": self._random.choice(["OK", "ERROR", "IN_PROGRESS"]),
            "trace_metadata": metadata if self._random.random() < 0.3 else {},
            "tags": {"mlflow.traceName": "named"} if self._random.random() < 0.5 else {},
        }
        if self._random.random() < 0.3:
            info |= {"request_preview": "asked", "response_preview": "answered"}
        return json.dumps({"trace": {"trace_info": info}}).encode()

    def _body(self) -> bytes:
        if self._random.random() < 0.02:
            return self._random.choice(BODIES)
        request = ExportTraceServiceRequest()
        for _ in range(self._random.choice([*[1] * 8, 2, 2, 0])):
            of_resource = request.resource_spans.add()
            self._resource(of_resource.resource)
            traces = [self.trace() for _ in range(self._random.choice([1, 1, 1, 2, 3]))]
            for trace in traces:
                scope = of_resource.scope_spans.add()
                self._spans(scope.spans, trace)
        body = request.SerializeToString()
        return body[:-2] if self._random.random() < 0.01 else body

    def _resource(self, resource: Resource) -> None:
        for key, value in self._one(RESOURCES, BAD_RESOURCES).items():
            set_value(resource.attributes.add(key=key).value, value)

    def _spans(self, spans: list[Span], trace: bytes) -> None:
        parent = self._one([b"", b"", b"a remote"], [b"\0" * 8, b"x", b"y" * 20])
        # Parents have smaller ids: MLflow may look for the end of a circle.
        for number in sorted(self._random.sample(range(30), self._random.choice([1, 1, 2, 3, 5]))):
            start = BEGAN + self._random.randrange(2000) * MILLISECOND + self._random.randrange(5)
            start = self._one([start], [0, 1, 999, 2**63, 2**64 - 1])
            end = start + self._random.randrange(3000) * MILLISECOND
            end = self._one([end % 2**64], [0, 1, 5, start - 1 if start else 0, 2**64 - 1])
            span = spans.add(
                trace_id=self._one([trace], [b"", b"x", b"\0" * 16, b"y" * 20]),
                span_id=self._one([b"span %03d" % number], [b"", b"x", b"\0" * 8, b"y" * 9]),
                parent_span_id=parent,
                name=self._one(["step", "ü ☃", "a/b", ""], ["n" * 600, "a\0b"]),
                start_time_unix_nano=start,
                end_time_unix_nano=end,
                kind=self._random.randrange(4),
                trace_state=self._one([""], ["a=b"]),
            )
            parent = self._one([span.span_id], [b""])
            span.status.code = self._one([0, 1, 1, 2], [3, 99])
            if self._random.random() < 0.3:
                span.status.message = self._one(["broken", "ü"], ["a\0b"])
            self._attributes(span)
            self._events(span)
            if self._random.random() < self._rare:
                span.links.add(trace_id=trace, span_id=b"12345678")

    def _attributes(self, span: Span) -> None:
        pairs: dict[str, object] = {}
        if self._random.random() < 0.7:
            pairs["mlflow.spanType"] = self._one(TYPES, BAD_TYPES)
        for name in ("mlflow.spanInputs", "mlflow.spanOutputs"):
            if self._random.random() < 0.6:
                pairs[name] = self._value() if self._random.random() < 0.8 else self._messages()
        for _ in range(self._random.choice([0, 0, 1, 3])):
            pairs[self._one(KEYS, [])] = self._value()
        for name in self._random.sample(OF_MLFLOW, self._random.choice([0, 0, 2])):
            pairs[f"mlflow.{name}"] = self._value()
        if self._random.random() < 3 * self._rare:
            key = self._random.choice([*BAD_KEYS, *self._random.sample(self._read, 5)])
            pairs[key] = self._random.choice([*USAGE, "x", self._value()])
        for key, value in pairs.items():
            set_value(span.attributes.add(key=key).value, value)
        if pairs and self._random.random() < self._rare:
            again: KeyValue = span.attributes.add(key=self._random.choice(list(pairs)))
            set_value(again.value, self._value())

    def _events(self, span: Span) -> None:
        if self._random.random() > 0.2:
            return
        for _ in range(self._random.choice([1, 2])):
            at = self._one([BEGAN], [0, 2**64 - 1])
            event = span.events.add(name=self._one(EVENTS, BAD_EVENTS, 0.1), time_unix_nano=at)
            for key in ("exception.message", "gen_ai.prompt")[: self._random.choice([0, 1, 2])]:
                set_value(event.attributes.add(key=key).value, self._value())

    def _messages(self) -> object:
        roles = self._random.sample(["user", "assistant", "system"], 2)
        messages = [{"role": role, "content": f"by {role}"} for role in roles]
        key = self._random.choice(["messages", "input", "output"])
        return self._random.choice([{key: messages}, json.dumps({"request": {key: messages}})])

    def _value(self) -> object:
        return self._one(self._texts, [*BAD_TEXTS, *BAD_VALUES])

    def _one(self, good: list, bad: list, rare: float | None = None) -> object:
        rare = self._rare / 2 if rare is None else rare
        return self._random.choice(bad if bad and self._random.random() < rare else good)
