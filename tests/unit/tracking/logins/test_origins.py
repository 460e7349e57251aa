"""Which pages may ask a server with logins."""

import asyncio

import pytest
from mlflow.server import security_utils

from tracking_server.logins.origins import Origins

NAMES = ("mlflow.lan", "192.0.2.7", "[2001:db8::7]")


def ask(origin, host="mlflow.lan:5000", method="POST", **headers) -> int:
    sent = {"host": host, "origin": origin, **headers}
    scope = {
        "type": "http",
        "method": method,
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in sent.items()
            if value is not None
        ],
    }
    statuses = []

    async def inner(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        statuses.append(message.get("status"))

    asyncio.run(Origins(inner, NAMES)(scope, None, send))
    return statuses[0]


def test_mlflow_itself_takes_requests_of_every_local_page():
    """If it no longer does, `origins` has lost its reason."""
    assert not security_utils.should_block_cors_request("http://localhost:3000", "POST", [])


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://mlflow.lan:5000", "mlflow.lan:5000"),
        ("https://MLFLOW.lan:5000", "mlflow.lan:5000"),
        ("https://localhost:5000", "localhost:5000"),
        ("https://127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://[::1]:5000", "[::1]:5000"),
        ("https://[2001:db8::7]:5000", "[2001:db8::7]:5000"),
        ("https://mlflow.lan", "mlflow.lan"),
        ("https://mlflow.lan", "mlflow.lan:443"),
        ("https://192.0.2.7:5000", "mlflow.lan:5000"),
        (None, "mlflow.lan:5000"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_its_own_pages_may(origin, host, method):
    assert ask(origin, host, method, x_forwarded_proto="https") == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "https://localhost:8080",
        "http://127.0.0.1:8000",
        "http://[::1]:3000",
        "http://localhost",
        "https://mlflow.lan:8080",
        "https://mlflow.lan",
        "http://mlflow.lan:5000",
        "https://evil.example:5000",
        "https://mlflow.lan.evil.example:5000",
        "null",
        "",
        "file://",
        "https://mlflow.lan:x",
        "https://[::1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_others_may_not(origin, method):
    assert ask(origin, method=method, x_forwarded_proto="https") == 403


def test_without_a_gateway_its_pages_have_no_tls():
    assert ask("http://localhost:5000", "localhost:5000") == 200
    assert ask("http://localhost:3000", "localhost:5000") == 403
