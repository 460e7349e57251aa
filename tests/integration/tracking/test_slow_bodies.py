"""Whoever has no login is answered before the body, however slowly that comes."""

import contextlib
import socket
import time

import pytest

from harness.logins import Logins
from harness.team import basic
from tests.integration.serving.hostile.client import SIZES, Client, HangError, head

CREATE = "POST /api/2.0/mlflow/experiments/create"
UPLOAD = "PUT /api/2.0/mlflow-artifacts/artifacts/slow/file"
AT_ONCE = 1.0
"""Seconds, one wrong password among them."""
CLOSED = 5.0


@pytest.fixture(scope="module")
def logins(tmp_path_factory):
    running = Logins.on_local_files(tmp_path_factory.mktemp("slow"), TRACKING_WORKERS="1").start()
    yield running
    running.server.stop()


@contextlib.contextmanager
def opened(server, seconds):
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        yield sock, Client(sock, seconds, known=None)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    "lines", [[], [f"authorization: {basic('eve', 'wrong')}"]], ids=["no login", "wrong login"]
)
@pytest.mark.parametrize("start", [CREATE, UPLOAD, "POST /health", "POST /graphql"])
def test_the_head_is_answered_and_the_connection_closed(logins, start, lines, size):
    address = [f"x-forwarded-for: 192.0.2.{len(start)}"]  # each counts for itself
    with opened(logins.server, AT_ONCE) as (sock, client):
        sock.sendall(head(start, *lines, *size, *address))
        answer = client.read()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        client.allow(CLOSED)
        assert client.read() is None


def test_who_waits_to_go_on_is_not_told_to(logins):
    with socket.create_connection(("127.0.0.1", logins.server.port)) as sock:
        sock.settimeout(CLOSED)
        sock.sendall(head(CREATE, *SIZES["waiting"]))
        assert sock.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_who_goes_on_sending_still_reads_why(logins):
    with opened(logins.server, CLOSED) as (sock, client):
        sock.sendall(head(UPLOAD, "content-length: 3000000"))
        with contextlib.suppress(OSError):
            for _ in range(30):
                sock.sendall(bytes(100_000))
                time.sleep(0.01)
        assert client.read().status == 401


def test_the_connection_stays_where_no_body_is_held_back(logins):
    with opened(logins.server, CLOSED) as (sock, client):
        for start in ("GET /api/2.0/mlflow/experiments/get", CREATE):
            body = b"" if start.startswith("GET") else b"{}"
            size = [f"content-length: {len(body)}"] if body else []
            sock.sendall(head(start, *size) + body)
            answer = client.read()
            assert answer.status == 401
            assert "connection" not in answer.headers


def test_a_user_may_wait_for_its_body(logins):
    login = f"authorization: {basic('eve', logins.passwords['eve'])}"
    with opened(logins.server, 10) as (sock, client):
        sock.sendall(head(CREATE, login, "content-length: 16", "content-type: application/json"))
        client.allow(2)
        with pytest.raises(HangError):
            client.read()
        sock.sendall(b'{"name": "slow"}')
        client.allow(10)
        assert client.read().status == 200
