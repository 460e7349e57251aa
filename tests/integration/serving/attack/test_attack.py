"""The model server under attack: by its own OpenAPI, by what no client means well with in each
place of a request, and by what is no HTTP at all."""

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from harness.serving import ModelServer
from tests.integration.serving.attack.door import Door
from tests.integration.serving.attack.port import AttackedPort
from tests.integration.serving.hostile.attacks import MIB
from tests.integration.serving.hostile.bodies import ODD, SHAPES, written
from tests.integration.serving.hostile.client import HEADERS, Answer
from tests.integration.serving.hostile.watch import Watch
from tests.integration.serving.reference.estimators import ESTIMATORS
from tests.integration.serving.reference.from_code import FROM_CODE, TYPED
from tests.integration.serving.reference.hinted import HINTED

FULL = os.environ.get("FULL") == "1"
SEED = int(os.environ.get("SEED", "4"))
EXAMPLES = 340 if FULL else 34
"""Requests an operation, good and bad each."""
TIMEOUT = 10
"""Seconds from body to answer."""
PATIENCE = 2
"""Seconds for a head or a body to come."""

TOKEN = "hostile-token-0123456789"
MODELS = {
    name: (ESTIMATORS | FROM_CODE | HINTED)[name]
    for name in (
        *("wine", "pipeline", "text", "wine-tensor", "wine-unsigned", "onnx"),
        *("typed", "params", *(["chat", "nested"] if FULL else [])),
    )
}
ROW = [14.23, 1.71, 2.43, 15.6]
GOOD = {"dataframe_split": {"columns": ["alcohol", "malic_acid", "ash", "alcalinity_of_ash"]}}
BY_MLFLOW = ("/ping", "/health", "/version")
"""No JSON, and called so: as `mlflow models serve` does."""
LEAKS = ("Traceback", 'File "', "site-packages", "model_server/", "model_server.", "/tmp/")

pytestmark = pytest.mark.timeout(3000 if FULL else 600)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    for name, model in MODELS.items():
        model.save(folder / name)
    token = folder / "token"
    token.write_text(TOKEN)
    running = ModelServer(
        folder,
        SERVING_MODELS=",".join(f"{name}={folder / name}" for name in MODELS),
        SERVING_DEFAULT="wine",
        SERVING_TOKEN_FILE=token,
        SERVING_HEADER_TIMEOUT=PATIENCE,
        SERVING_BODY_TIMEOUT=PATIENCE,
        SERVING_TIMEOUT=TIMEOUT,
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def door(server) -> Door:
    body = json.dumps({"dataframe_split": GOOD["dataframe_split"] | {"data": [ROW]}}).encode()
    return Door(
        server.port,
        "/models/wine/invocations",
        body,
        b'{"predictions": [0]}',
        patience=PATIENCE,
        body_patience=PATIENCE,
        body_limit=16 * MIB,
        headers=HEADERS,
        tells_ids=True,
    )


@pytest.fixture(autouse=True)
def unharmed(server, door):
    """Each attack leaves the server as it was."""
    door.check()
    watch = Watch(server)
    yield
    door.check()
    watch.check()


class TestPort(AttackedPort):
    def test_half_closed(self, door):
        with door.opened() as (sock, client):
            sock.sendall(door.request())
            sock.shutdown(socket.SHUT_WR)
            assert door.answer in client.read().body
            assert client.read() is None
        with door.opened(PATIENCE + 10) as (sock, client):
            sock.sendall(door.request()[:-5])
            sock.shutdown(socket.SHUT_WR)
            answer = client.read()
            assert answer is None or answer.status == 400

    def test_answers_that_nobody_takes(self, door):
        """Clients reset in the middle of a large answer, or leave it."""
        row = json.dumps(ROW).encode()[1:-1]
        rows = door.body.replace(b"[[%b]]" % row, b"[" + b",".join([b"[%b]" % row] * 50_000) + b"]")
        for _ in range(10):
            with door.opened() as (sock, _):
                sock.sendall(door.request(body=rows))
                assert sock.recv(1000).startswith(b"HTTP/1.1 200")

    def test_continue_is_said_to_none_that_is_refused(self, door):
        with door.opened() as (sock, _):
            sock.sendall(door.request(body=b"", Expect="100-continue", Content_Length="999999999"))
            assert sock.recv(1000).startswith(b"HTTP/1.1 413")

    def test_foreign_host_in_the_target(self, door):
        request = door.request(path=f"http://evil.test{door.path}")
        assert door.ask(request).status == 403


VALUES = (
    *ODD,
    *(b"9" * 100_000, b"-" + b"9" * 400, b"1e-99999", b'"\\ud83d"', b'"\\u0000\\ud800"'),
    *(b'"A"', b'"===="', b'"QQ\\n=="', b'"Q Q=="', b'"%%%"', b'"\xff"', b'"-1"', b'"1e308"'),
    *(b'"0000-00-00"', b'"99999-01-01T00:00:00Z"', b'"1677-09-21T00:12:43"', b'"2262-04-12"'),
    *(b'"2024-01-31T12:00:00+99:99"', b'"now"', b'"NaT"', b"253402300800000", b"[" * 100_000),
)
"""Values in place of each column's."""


def bodies(column: str, value: bytes) -> Iterator[tuple[str, bytes]]:
    """A path and a body in each format, with the value in this column of the second of two rows."""
    row = TYPED | {column: value}
    yield "/models/typed/invocations", written({"dataframe_records": [TYPED, row]})
    split = {"columns": list(TYPED), "data": [list(TYPED.values()), list(row.values())]}
    yield "/models/typed/invocations", written({"dataframe_split": split})
    yield "/models/typed/invocations", written({"inputs": [TYPED, row]})
    by_column = {name: [TYPED[name], row[name]] for name in TYPED}
    yield "/models/typed/invocations", written({"instances": by_column})
    types = {float: "FP64", int: "INT64", bool: "BOOL", str: "BYTES"}
    tensors = [
        {"name": name, "shape": [2], "datatype": types[type(TYPED[name])], "data": values}
        for name, values in by_column.items()
    ]
    yield "/v2/models/typed/infer", written({"inputs": tensors})


def faults(answer: Answer, allowed: tuple[int, ...]) -> Iterator[str]:
    if answer.status not in allowed:
        yield f"status {answer.status}: {answer.body[:200]}"
    elif answer.status >= 400:
        message = json.loads(answer.body)["message"]
        if not 0 < len(message) <= 2000:
            yield "a message of no use"
        yield from (f"tells {leak}" for leak in (*LEAKS, "canary") if leak in message)


def asked(door: Door, requests: Iterator[tuple[str, bytes]], *allowed: int) -> Counter:
    """Ask all, one after another; the statuses. Fails where one is not allowed, late, or tells
    what it may not."""
    statuses: Counter[int] = Counter()
    problems = []
    for path, body in requests:
        since = time.monotonic()
        answer = door.ask(door.request(path=path, body=body))
        wrong = list(faults(answer, allowed))
        if time.monotonic() - since > TIMEOUT:
            wrong.append("late")
        statuses[answer.status] += 1
        problems += [f"{path} {body[:300]!r}: {fault}" for fault in wrong]
    print(dict(statuses))
    assert not problems, "\n".join(problems)
    return statuses


def test_odd_values_in_each_place(door):
    values = VALUES if FULL else VALUES[SEED % 2 :: 2]
    requests = (pair for column in TYPED for value in values for pair in bodies(column, value))
    assert asked(door, requests, 200, 400, 422)[400]


def test_errors_tell_no_value(door):
    """Nor do those of params; they may tell names of columns."""
    values = (b'"canary"', b'["canary"]', b'{"a": "canary"}')
    requests = [pair for column in TYPED for value in values for pair in bodies(column, value)]
    for name in ("double", "long", "boolean", "datetime", "string", "doubles", "longs"):
        for value in ("canary", ["canary"], {"canary": 1}):
            body = {"inputs": [{"a": 1.5, "b": 2}], "params": {name: value}}
            requests.append(("/models/params/invocations", written(body)))
    statuses = asked(door, iter(requests), 200, 400, 422)
    assert statuses[400]
    assert statuses[422]


def test_shapes_that_lie(door):
    def requests() -> Iterator[tuple[str, bytes]]:
        for shape in (*SHAPES, b"[-1, 4]", b"[4294967296, 4294967296]", b"[1, 4, 0]", b"[0.5, 8]"):
            for datatype in ("FP64", "BYTES", "BOOL", "INT8"):
                for data in (b"[1, 2, 3, 4]", b"[[1, 2], [3, 4]]", b"[]", b"4"):
                    tensor = {"name": "x", "shape": shape, "datatype": datatype, "data": data}
                    for model in ("wine", "wine-tensor", "wine-unsigned"):
                        yield f"/v2/models/{model}/infer", written({"inputs": [tensor]})

    assert asked(door, requests(), 200, 400, 422)[422] > 100


def test_requests_made_from_the_openapi(server, record_property):
    """Valid and invalid bodies, params, headers and paths of each operation, answered as the
    document says."""
    print(f"SEED={SEED}")
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    statuses: Counter[str] = Counter()
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()
            modes = list(GenerationMode)
            if operation.method.upper() == "GET":  # any text is a name
                modes.remove(GenerationMode.NEGATIVE)
            for mode in modes:
                for status, count in attacked(session, operation, mode).items():
                    statuses[f"{mode.value} {status}"] += count
    print(dict(sorted(statuses.items())))
    record_property("statuses", dict(statuses))  # what xdist can send
    assert sum(statuses.values()) >= (10_000 if FULL else 1_000)
    assert {"positive 200", "negative 400", "negative 422"} <= statuses.keys()


def attacked(
    session: requests.Session, operation: schemathesis.APIOperation, mode: GenerationMode
) -> Counter[int]:
    """The statuses of one operation's answers."""
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_headers_conformance,
        allow_header_conformance,
    ]
    if operation.path not in BY_MLFLOW:
        checks.append(response_schema_conformance)
    statuses: Counter[int] = Counter()
    # Names are any that nothing is served by: else a model is unloaded.
    is_managing = operation.definition.raw["tags"] == ["management"]
    headers = {"authorization": f"Bearer {TOKEN}"} if is_managing else None
    known = {"name": "typed", "version": "1"} if operation.method.upper() == "POST" else {}
    fixed = {
        name: value
        for name, value in known.items()
        if f"{{{name}}}" in operation.path and not is_managing
    }

    @seeded(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=fixed or None))
    def ask(case):
        answer = case.call(session=session, headers=headers, timeout=TIMEOUT + 5)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=checks)
        if answer.status_code >= 400:
            assert not [leak for leak in LEAKS if leak in answer.text], answer.text
            assert len(answer.text) < 6_000

    ask()
    return statuses
