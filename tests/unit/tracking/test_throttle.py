"""Who has sent too many wrong passwords, and for how long."""

import asyncio
import base64

import pytest

from tracking_server import throttle
from tracking_server.throttle import FROM_ADDRESS_AS_USER, WINDOW_SECONDS, Failures, Throttle


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(throttle.time, "monotonic", lambda: now[0])
    return now


def test_failures_are_counted_over_a_window(clock):
    failures = Failures(3)
    assert [failures.add("a") for _ in range(3)] == [False, False, True]
    assert failures.wait("a") == WINDOW_SECONDS + 1
    assert failures.wait("b") == 0
    clock[0] += WINDOW_SECONDS
    assert failures.wait("a") == 0
    assert failures.add("a") is False


def test_as_many_are_remembered_as_fit(monkeypatch):
    monkeypatch.setattr(throttle, "REMEMBERED", 2)
    failures = Failures(1)
    for key in "abc":
        failures.add(key)
    assert [failures.wait(key) > 0 for key in "abc"] == [False, True, True]


def ask(app, authorization=None, method="GET", forwarded=None) -> int:
    headers = {"authorization": authorization, "x-forwarded-for": forwarded}
    scope = {
        "type": "http",
        "method": method,
        "headers": [(k.encode(), v.encode()) for k, v in headers.items() if v is not None],
        "client": ("10.0.0.9", 1),
    }
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, None, send))
    return sent[0]["status"]


def login(user: str, password: str = "wrong") -> str:  # noqa: S107
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def app():
    """A server on which "right" is everyone's password."""

    async def inner(scope, _, send):
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        right = given.startswith("Basic ") and base64.b64decode(given[6:]).endswith(b":right")
        await send({"type": "http.response.start", "status": 200 if right else 401, "headers": []})

    return Throttle(inner, read_only="serving")


def test_too_many_wrong_passwords_shut_out_that_user_from_that_address_alone(app):
    for _ in range(FROM_ADDRESS_AS_USER):
        assert ask(app, login("ada"), forwarded="evil, 1.1.1.1") == 401
    assert ask(app, login("ada"), forwarded="other, 1.1.1.1") == 429
    assert ask(app, login("ada", "right"), forwarded="1.1.1.1") == 429
    assert ask(app, login("ada", "right"), forwarded="2.2.2.2") == 200
    assert ask(app, login("bob", "right"), forwarded="1.1.1.1") == 200


def test_an_address_that_tries_many_users_is_shut_out(app):
    for number in range(throttle.FROM_ADDRESS):
        assert ask(app, login(f"user{number}")) == 401
    assert ask(app, login("bob", "right")) == 429


def test_requests_without_a_login_are_not_counted(app):
    for _ in range(throttle.FROM_ADDRESS + 1):
        assert ask(app) == 401
    assert ask(app, login("bob", "right")) == 200


@pytest.mark.parametrize("broken", ["Basic", "Basic !", "Basic /w==", "Bearer x", ""])
def test_broken_logins_are_the_servers_matter(app, broken):
    assert ask(app, broken) == 401


def test_the_read_only_user_reads(app):
    assert ask(app, login("serving", "right")) == 200
    assert ask(app, login("serving", "right"), method="POST") == 403
    assert ask(app, login("ada", "right"), method="POST") == 200
