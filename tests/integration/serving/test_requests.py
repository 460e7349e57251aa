"""What a client gets for good, bad and hostile requests."""

import gzip
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import mlflow
import pandas as pd
import pytest

from harness.serving import assert_error
from tests.integration.serving.models import WINE, act, wine_request

JSON = {"content-type": "application/json"}


def test_default_model_predicts(server):
    answer = server.ask(wine_request(rows=3))
    assert answer.status_code == 200
    assert answer.json() == {"predictions": [0, 0, 0]}
    assert answer.headers["x-model-name"] == "wine"
    assert answer.headers["x-model-version"] == "1"


def test_csv_and_parquet_are_read(server, tmp_path):
    frame = WINE.data.iloc[[0, 100, 170]]
    file = tmp_path / "rows.parquet"
    frame.to_parquet(file)
    for content, kind in (
        (frame.to_csv(index=False), "text/csv"),
        (file.read_bytes(), "application/vnd.apache.parquet"),
    ):
        answer = server.http.post("/invocations", content=content, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["predictions"]) == 3


def test_each_model_has_its_own_address(server):
    assert server.ask(act("answer"), "chameleon").json() == {"predictions": [1]}
    entry = next(m for m in server.http.get("/models").json()["models"] if m["name"] == "odd/näme")
    answer = server.http.post(entry["invocations"], json=act("answer"))
    assert answer.json() == {"predictions": [2]}
    assert answer.headers["x-model-name"] == "odd%2Fn%C3%A4me"


def test_slash_at_the_end_changes_nothing(server):
    body = {"content-type": "application/json"}
    for path in ("/invocations", "/models/chameleon/invocations"):
        plain, slash = (
            server.http.post(url, content=b"{}", headers=body) for url in (path, path + "/")
        )
        assert (slash.status_code, slash.json()) == (plain.status_code, plain.json())
        assert plain.status_code == 400
    for path in ("/ping/", "/models/", "/models/wine/", "/v2/?x=1/", "/v2/models/wine/ready/"):
        assert server.http.get(path).status_code == 200, path
    for path in ("/", "/models//", "/invocations//", "//invocations"):
        assert server.http.get(path).status_code == 404, path


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-123", True), ("x" * 128, True), ("x" * 129, False), ("a b", False)]
)
def test_request_id_is_kept_when_sane(server, sent, kept):
    answer = server.http.get("/models", headers={"x-request-id": sent})
    assert answer.status_code == 200
    assert (answer.headers["x-request-id"] == sent) is kept
    assert server.http.get("/nothing").headers["x-request-id"]


def test_mlflow_probes_and_version(server):
    for path in ("/ping", "/health"):
        answer = server.http.get(path)
        assert (answer.status_code, answer.text) == (200, "\n")
    assert server.http.get("/version").text == mlflow.__version__
    assert server.http.get("/livez").status_code == 200
    assert server.http.get("/readyz").json() == {"status": "ready"}
    assert server.http.head("/ping").status_code == 200


def test_models_say_what_is_served_and_why(server):
    entry = server.model("wine")
    assert entry["state"] == "serving"
    assert entry["version"] == "1"
    assert entry["because"].startswith("SERVING_MODELS has wine=")
    assert entry["problem"] is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/models/nobody", 404),
        ("POST", "/models/nobody/invocations", 404),
        ("GET", "/models/wine/invocations/more", 404),
        ("GET", "/invocations", 405),
        ("DELETE", "/models/wine", 403),
        ("POST", "/ping", 405),
    ],
)
def test_wrong_paths_and_methods(server, method, path, status):
    answer = server.http.request(method, path)
    assert_error(answer, status)
    if status == 405:
        assert "OPTIONS" in answer.headers["allow"]


def test_options_names_the_methods(server):
    answer = server.http.options("/invocations")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "POST, OPTIONS"


MALFORMED = {
    "empty": (b"", JSON),
    "not json": (b"{", JSON),
    "a list": (b"[1, 2]", JSON),
    "a number": (b"7", JSON),
    "null": (b"null", JSON),
    "not utf-8": (b'{"inputs": "\xff"}', JSON),
    "deeply nested": (b'{"inputs":' + b"[" * 50_000 + b"]" * 50_000 + b"}", JSON),
    "two formats": (b'{"inputs": [1], "instances": [1]}', JSON),
    "no format": (b'{"rows": [1]}', JSON),
    "wrong columns": (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', JSON),
    "ragged rows": (b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2], [1]]}}', JSON),
    "split of a string": (b'{"dataframe_split": "x"}', JSON),
    "records of numbers": (b'{"dataframe_records": [1, 2]}', JSON),
    "records of null": (b'{"dataframe_records": null}', JSON),
    "instances of null": (b'{"instances": null}', JSON),
    "instances ragged": (b'{"instances": [[1], [1, 2]]}', JSON),
    "inputs of a string": (b'{"inputs": "x"}', JSON),
    "inputs huge number": (b'{"inputs": 1e999}', JSON),
    "no content type": (b"{}", {}),
    "unknown content type": (b"{}", {"content-type": "text/html"}),
    "other charset": (b"{}", {"content-type": "application/json; charset=latin-1"}),
    "unknown parameter": (b"{}", {"content-type": "application/json; format=pandas-split"}),
    "no csv": (b"", {"content-type": "text/csv"}),
    "csv not utf-8": (b"\xff\xfe", {"content-type": "text/csv"}),
    "csv other columns": (b"a,b\n1,2\n", {"content-type": "text/csv"}),
    "no parquet": (b"PAR1", {"content-type": "application/vnd.apache.parquet"}),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_get_a_4xx(server, case):
    content, headers = MALFORMED[case]
    answer = server.http.post("/invocations", content=content, headers=headers)
    assert 400 <= answer.status_code < 500
    assert_error(answer, answer.status_code)
    if "content type" in case or case in ("other charset", "unknown parameter"):
        assert answer.status_code == 415


def test_error_does_not_repeat_the_data(server):
    request = act("answer")
    request["dataframe_split"]["columns"] = ["my-own-secret"]
    message = assert_error(server.ask(request, "chameleon"), 400, "INVALID_PARAMETER_VALUE")
    assert message.startswith("Failed to enforce schema. Error: ")
    answer = server.http.post("/invocations", content=b'{"secret": 1', headers=JSON)
    assert "secret" not in assert_error(answer, 400, "BAD_REQUEST")


def test_compressed_body_gets_a_415(server):
    content = gzip.compress(json.dumps(wine_request()).encode())
    for path in ("/invocations", "/v2/models/wine/infer"):
        answer = server.http.post(
            path, content=content, headers=JSON | {"content-encoding": "gzip"}
        )
        assert answer.status_code == 415
        assert "Content-Encoding" in answer.json()["message"]
        assert answer.headers["accept-encoding"] == "identity"
    assert server.ask(wine_request(), **{"content-encoding": "Identity"}).status_code == 200


@pytest.mark.parametrize(
    ("doing", "status", "error_code"),
    [
        ("raise", 400, "BAD_REQUEST"),
        ("raise-mlflow", 400, "INVALID_PARAMETER_VALUE"),
        ("raise-exhausted", 429, "RESOURCE_EXHAUSTED"),
        ("unwritable", 500, "INTERNAL_ERROR"),
    ],
)
def test_errors_of_the_model(server, doing, status, error_code):
    answer = server.ask(act(doing), "chameleon", **{"x-request-id": f"id-{doing}"})
    message = assert_error(answer, status, error_code)
    assert "/srv" not in message
    if doing == "raise":
        assert message == "The model raised ValueError: secret of weights.bin (request id id-raise)"
    if status == 500:
        assert "id-unwritable" in message
    if doing in ("raise", "unwritable"):
        assert f"id-{doing}" in server.process.text()


def test_failed_request_is_found_in_the_log_by_its_id(server):
    def line_of(request_id: str) -> dict | None:
        lines = server.log_lines("request refused")
        return next((line for line in lines if line["request_id"] == request_id), None)

    headers = {"x-request-id": "failed"}
    assert server.ask(act("unwritable"), "chameleon", **headers).status_code == 500
    line = server.wait_for(lambda: line_of("failed"), 10, "its line")
    assert (line["level"], line["model"], line["status"]) == ("WARNING", "chameleon", 500)
    assert line["reason"].startswith("The model returned list with an object of type object in it")
    headers = JSON | {"x-request-id": "too-large"}
    server.http.post("/invocations", content=b" " * 1_000_001, headers=headers)
    assert server.wait_for(lambda: line_of("too-large"), 10, "its line")["status"] == 413
    for sent, status in (("fine", 200), ("wrong", 400)):
        headers = {"x-request-id": sent}
        doing = {"fine": "answer", "wrong": "raise"}[sent]
        assert server.ask(act(doing), "chameleon", **headers).status_code == status
        assert line_of(sent) is None


def test_crash_fails_its_own_request_alone(server):
    before = server.ask(act("process"), "chameleon").json()["predictions"][0]
    answer = server.ask(act("crash"), "chameleon")
    assert_error(answer, 503, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["retry-after"]
    assert server.ask(wine_request()).status_code == 200
    after = server.ask(act("process"), "chameleon")
    assert after.status_code == 200
    assert after.json()["predictions"][0] != before
    assert any(line["ending"] == "exit code 3" for line in server.log_lines("worker lost"))


def test_hang_ends_at_the_time_limit_and_touches_no_other_model(server):
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(server.ask, act("hang"), "chameleon")
        while not hanging.done():
            assert server.ask(wine_request()).status_code == 200
    assert_error(hanging.result(), 504, "DEADLINE_EXCEEDED")
    server.wait_for(
        lambda: server.ask(act("answer"), "chameleon").status_code == 200, 20, "a new worker"
    )


def test_queue_limit(server):
    # The limit is 8, and 16 more are asked at one time.
    with ThreadPoolExecutor(48) as pool:
        answers = list(pool.map(lambda _: server.ask(act("slow"), "chameleon"), range(48)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert_error(refused[0], 429, "REQUEST_LIMIT_EXCEEDED")
    assert refused[0].headers["retry-after"]
    assert {answer.status_code for answer in answers} <= {200, 429, 504}


def test_workers_hold_no_credentials(server):
    text = server.ask(act("environment"), "chameleon").text
    assert "PATH" in text
    assert "not for workers" not in text


def test_body_limit_by_length_and_by_chunks(server):
    body = b" " * 1_000_001
    answer = server.http.post("/invocations", content=body, headers=JSON)
    assert "SERVING_BODY_LIMIT" in assert_error(answer, 413)
    chunks = (b" " * 100_000 for _ in range(11))
    answer = server.http.post("/invocations", content=chunks, headers=JSON)
    assert_error(answer, 413)


def test_body_that_never_ends_gets_a_408(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
            b"Content-Type: application/json\r\n\r\n{"
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("serving:8080", True),
        ("a.example.org", True),
        ("evil.test", False),
        ("localhost.evil.test:8080", False),
        ("localhost:80:90", False),
        ("", False),
    ],
)
def test_foreign_hosts_are_refused(server, host, allowed):
    answer = server.http.get("/models", headers={"host": host})
    assert answer.status_code == (200 if allowed else 403)
    assert server.http.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("http://serving", True),
        ("http://evil.test", False),
        ("null", False),
        ("file://", False),
        ("http://localhost.evil.test", False),
    ],
)
def test_foreign_origins_change_nothing(server, origin, allowed):
    answer = server.ask(wine_request(), origin=origin)
    assert answer.status_code == (200 if allowed else 403)
    assert server.http.get("/models", headers={"origin": origin}).status_code == 200


def test_metrics_count_by_version_and_status(server):
    server.ask(wine_request())
    page = server.http.get("/metrics").text
    assert 'model_server_requests_total{model="wine",status="200",version="1"}' in page
    assert 'model_server_served_info{model="wine",version="1"} 1.0' in page
    assert 'model_server_stage_seconds_count{model="wine",stage="predict",version="1"}' in page


def test_answers_belong_to_their_requests(server, models):
    """Many at once, each with its own row: nobody gets another's answer."""
    rows = WINE.data.sample(frac=1, random_state=1)
    expected = mlflow.pyfunc.load_model(models.wine).predict(rows)
    columns = list(rows.columns)
    local = threading.local()

    def ask(position: int) -> int:
        if not hasattr(local, "http"):
            local.http = httpx.Client(base_url=server.url, timeout=60)
        content = {"columns": columns, "data": [rows.iloc[position].tolist()]}
        answer = local.http.post("/invocations", json={"dataframe_split": content})
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"][0]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(len(rows))))
    assert pd.Series(answers).tolist() == expected.tolist()
