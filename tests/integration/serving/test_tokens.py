"""A server that asks for tokens reads nothing of anybody unknown, and so holds nothing."""

import contextlib
import socket

import httpx
import pytest

from harness.serving import ModelServer
from model_server.front.guard import OPEN_PATHS, PROBES
from tests.integration.serving.hostile.client import Client
from tests.integration.serving.pasted import answers

TOKEN = "test-token-0123456789"
BODY, BUFFER = 2**18, 2**20


@pytest.fixture(scope="module")
def closed(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed")
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    running = ModelServer(
        folder,
        SERVING_MODELS=f"wine={models.wine}",
        SERVING_TOKENS_REQUIRED=True,
        SERVING_TOKEN_FILE=folder / "token",
        SERVING_BODY_LIMIT=BODY,
        SERVING_BUFFER_LIMIT=BUFFER,
    ).start()
    yield running
    running.stop()


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: localhost", *lines, "", ""]).encode()


def bearer(token: str) -> str:
    return f"authorization: Bearer {token}"


@contextlib.contextmanager
def opened(server: ModelServer):
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        yield sock, Client(sock, 5)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 401),
        ([bearer("wrong")], 401),
        ([bearer(TOKEN), "origin: http://evil.example"], 403),
    ],
    ids=["no token", "wrong token", "foreign page"],
)
@pytest.mark.parametrize("size", [f"content-length: {BODY}", "transfer-encoding: chunked"])
def test_refused_before_the_body_comes_and_closed(closed, lines, status, size):
    with opened(closed) as (sock, client):
        sock.sendall(head("/invocations", size, *lines))
        answer = client.read()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert client.read() is None


@pytest.mark.parametrize("path", [path.decode() for path in (*OPEN_PATHS, *PROBES)])
def test_a_probe_is_open_to_all_and_its_body_to_none(closed, path):
    with opened(closed) as (sock, client):
        sock.sendall(head(path, "content-length: 1"))
        assert client.read().status == 401
    assert closed.http.get(path).status_code in (200, 404)


def test_held_bodies_of_nobody_leave_room_for_others(closed):
    with contextlib.ExitStack() as held:
        for _ in range(2 * BUFFER // BODY):
            sock = held.enter_context(socket.create_connection(("127.0.0.1", closed.port)))
            with contextlib.suppress(OSError):  # once it was refused
                sock.sendall(head("/invocations", f"content-length: {BODY}") + b" " * (BODY - 1))
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = closed.http.post("/v2/repository/index", content=b"{}".ljust(100), headers=headers)
        assert answer.status_code == 200, answer.text


def test_a_connection_stays_after_a_refusal_without_a_body(closed):
    with httpx.Client(base_url=closed.url) as http:
        assert http.get("/models").status_code == 401
        assert "connection" not in http.get("/models").headers


def test_commands_to_paste_take_the_token_from_a_variable(closed):
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = closed.http.get("/models/wine", headers=headers)
    assert TOKEN not in answer.text
    predictions = {"predictions": [0]}
    assert answers(answer.json(), TOKEN=TOKEN) == (predictions, predictions)
    headers["x-forwarded-proto"] = "https"  # as the gateway says
    entry = closed.http.get("/models/wine", headers=headers).json()
    assert entry["curl"].startswith(f"curl https://127.0.0.1:{closed.port}/models/wine/")
