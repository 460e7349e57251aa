"""The gateway waits for nobody unknown, and for users as long as is documented."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.team import basic, bearer
from tests.integration.serving.hostile.client import SIZES, Client, head

CREATE = "POST /api/2.0/mlflow/experiments/create"
UPLOAD = "PUT /api/2.0/mlflow-artifacts/artifacts/slow/file"
SCORE = "POST /invocations"
AT_ONCE = 2.0
WAITED_FOR = {CREATE: 60, SCORE: 30}
"""Seconds until a user's body must come (docs/team.md, SERVING_BODY_TIMEOUT)."""


@contextlib.contextmanager
def opened(team, start, seconds):
    port = team.stack.serving_port if start == SCORE else team.stack.tracking_port
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        team.context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        yield sock, Client(sock, seconds, known=None)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("start", [CREATE, UPLOAD, SCORE, "POST /health"])
def test_nobody_unknown_is_waited_for(team, start, size):
    with opened(team, start, AT_ONCE) as (sock, client):
        sock.sendall(head(start, *size))
        answer = client.read()
        assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_a_wrong_login_is_not_waited_for(team):
    with opened(team, CREATE, AT_ONCE) as (sock, client):
        sock.sendall(head(CREATE, f"authorization: {basic('eve', 'wrong')}", *SIZES["small"]))
        assert client.read().status == 401


def test_what_nobody_sends_on_is_let_go(team):
    """But for a small body of which nothing came: Caddy keeps that until the client goes."""
    for start, size in ((CREATE, "large"), (CREATE, "chunked"), (SCORE, "large")):
        with opened(team, start, AT_ONCE) as (sock, client):
            sock.sendall(head(start, *SIZES[size]))
            assert client.read().status == 401
            assert client.read() is None, size


def test_users_are_waited_for(team):
    token = team.tokens("add", "slow-body", "--models", "*")
    logins = {CREATE: basic("admin", team.admin), SCORE: bearer(token)["authorization"]}

    def seconds_until_408(start: str) -> float:
        began = time.monotonic()
        with opened(team, start, WAITED_FOR[start] + 20) as (sock, client):
            sock.sendall(head(start, f"authorization: {logins[start]}", *SIZES["small"]))
            assert client.read().status == 408, start
        return time.monotonic() - began

    with ThreadPoolExecutor(len(logins)) as threads:
        for start, seconds in zip(logins, threads.map(seconds_until_408, logins), strict=True):
            assert WAITED_FOR[start] - 1 < seconds < WAITED_FOR[start] + 10
    team.tokens("remove", "slow-body")
