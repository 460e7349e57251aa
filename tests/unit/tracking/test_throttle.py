"""Who has sent too many wrong passwords, and for how long."""

import asyncio
import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracking_server import throttle
from tracking_server.throttle import (
    CHECKS_AT_ONCE,
    FROM_ADDRESS_AS_USER,
    WINDOW_SECONDS,
    Failures,
    FewChecks,
    Throttle,
)


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


def ask(app, authorization=None, method="GET", forwarded=None, path="/") -> int:
    headers = {"authorization": authorization, "x-forwarded-for": forwarded}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
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


@pytest.mark.parametrize(("path", "seen"), [("/api/x", None), ("/gateway/x", b"Bearer x")])
def test_what_is_no_login_is_left_to_the_gateways_routes(path, seen):
    """Where it may be for a provider of models; elsewhere MLflow would fail."""
    found = []

    async def inner(scope, _, send):
        found.append(dict(scope["headers"]).get(b"authorization"))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    ask(Throttle(inner, read_only="serving"), "Bearer x", path=path)
    assert found == [seen]


class Checking:
    """A WSGI application that takes its time to check passwords; `most` at one time."""

    def __init__(self):
        self.release = threading.Event()
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.release.wait(20)
        with self._lock:
            self.inside -= 1
        right = environ.get("HTTP_AUTHORIZATION", "").startswith("right")
        is_open = environ["PATH_INFO"] == "/health"
        start_response("200 OK" if right or is_open else "401 UNAUTHORIZED", [])
        return [b""]


def call(app, authorization, path="/api/2.0/mlflow/runs/search"):
    environ = {"PATH_INFO": path}
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    return app(environ, lambda *_: None)


def at_once(app, inner, authorization, path="/api/2.0/mlflow/runs/search") -> int:
    """How many of 12 requests are inside at one time."""
    inner.most = 0
    inner.release.clear()
    with ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(call, app, authorization, path) for _ in range(12)]
        full = time.monotonic() + 1
        while inner.inside < 12 and time.monotonic() < full:
            time.sleep(0.01)
        inner.release.set()
        for one in asked:
            one.result(20)
    return inner.most


def test_few_passwords_are_checked_at_one_time():
    inner = Checking()
    app = FewChecks(inner, seconds=30)
    assert at_once(app, inner, None) == 12, "without a password"
    assert at_once(app, inner, "right") == CHECKS_AT_ONCE
    assert at_once(app, inner, "right") == 12, "known by now"
    for _ in range(2):
        assert at_once(app, inner, "wrong") == CHECKS_AT_ONCE
    at_once(app, inner, "guess", "/health")
    assert at_once(app, inner, "guess") == CHECKS_AT_ONCE, "nobody has looked at it there"


def test_a_password_is_known_for_a_time():
    inner = Checking()
    app = FewChecks(inner, seconds=0)
    for _ in range(2):
        assert at_once(app, inner, "right") == CHECKS_AT_ONCE


def test_the_read_only_user_reads(app):
    assert ask(app, login("serving", "right")) == 200
    assert ask(app, login("serving", "right"), method="POST") == 403
    assert ask(app, login("ada", "right"), method="POST") == 200
