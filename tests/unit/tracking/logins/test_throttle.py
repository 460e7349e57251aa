"""Who has sent too many wrong passwords, and for how long."""

import asyncio
import base64
import time

import pytest

from tracking_server.logins import throttle
from tracking_server.logins.throttle import (
    CHECKS_AT_ONCE,
    FROM_ADDRESS_AS_USER,
    WINDOW_SECONDS,
    Failures,
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


class Users:
    """Everyone's password is "right"."""

    def __init__(self):
        self.asked = []
        self.inside = self.most = 0
        self.broken = False
        self._known = set()

    def is_open(self, path):
        return path == "/health"

    def known(self, user, password):
        return (user, password) in self._known

    def check(self, user, password):
        self.asked.append((user, password))
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.01)
        self.inside -= 1
        if self.broken:
            raise ConnectionError("no database")
        if password == "right":
            self._known.add((user, password))
        return password == "right"


@pytest.fixture
def users():
    return Users()


@pytest.fixture
def app(users):
    async def inner(scope, receive, send):
        assert (await receive())["body"] == (b"" if scope["path"] == "/health" else b"body")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    return Throttle(inner, read_only="serving", logins=users)


def login(user: str, password: str = "wrong") -> str:  # noqa: S107
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def asked(app, authorization=None, method="GET", forwarded=None, path="/", own=None) -> int:
    headers = {
        "authorization": authorization,
        "x-forwarded-for": forwarded,
        "x-mlflow-authorization": own,
    }
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.encode(), v.encode()) for k, v in headers.items() if v is not None],
        "client": ("10.0.0.9", 1),
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"body"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


def ask(*args, **options) -> int:
    return asyncio.run(asked(*args, **options))


def at_once(app, logins) -> list[int]:
    async def all_of_them():
        return await asyncio.gather(*(asked(app, one) for one in logins))

    return asyncio.run(all_of_them())


def test_too_many_wrong_passwords_shut_out_that_user_from_that_address_alone(app):
    for _ in range(FROM_ADDRESS_AS_USER):
        assert ask(app, login("ada"), forwarded="evil, 1.1.1.1") == 401
    assert ask(app, login("ada"), forwarded="other, 1.1.1.1") == 429
    assert ask(app, login("ada", "right"), forwarded="1.1.1.1") == 429
    assert ask(app, login("ada", "right"), forwarded="2.2.2.2") == 200
    assert ask(app, login("bob", "right"), forwarded="1.1.1.1") == 200


def test_whoever_is_shut_out_learns_nothing_of_passwords_that_are_known(app):
    assert ask(app, login("ada", "right")) == 200
    for _ in range(FROM_ADDRESS_AS_USER):
        ask(app, login("ada"))
    assert ask(app, login("ada", "right")) == 429


def test_an_address_that_tries_many_users_is_shut_out(app):
    for number in range(throttle.FROM_ADDRESS):
        assert ask(app, login(f"user{number}")) == 401
    assert ask(app, login("bob", "right")) == 429


def test_an_address_of_ipv6_is_its_network(app):
    for number in range(FROM_ADDRESS_AS_USER):
        assert ask(app, login("ada"), forwarded=f"2001:db8::{number:x}") == 401
    assert ask(app, login("ada"), forwarded="2001:db8::ffff:1") == 429
    assert ask(app, login("ada"), forwarded="2001:db8:0:1::1") == 401


def test_guesses_at_one_time_are_counted_like_guesses_in_turn(app, users):
    statuses = at_once(app, [login("ada", f"guess{number}") for number in range(200)])
    assert FROM_ADDRESS_AS_USER <= len(users.asked) < FROM_ADDRESS_AS_USER + CHECKS_AT_ONCE
    assert statuses.count(429) == 200 - len(users.asked)
    assert users.most <= CHECKS_AT_ONCE


def test_a_login_that_comes_many_times_at_once_is_checked_few_times(app, users):
    assert set(at_once(app, [login("ada", "right")] * 100)) == {200}
    assert len(users.asked) <= CHECKS_AT_ONCE


def test_the_gateways_routes_take_a_login_from_a_header_of_their_own(app):
    """Authorization is the provider's there."""
    request = {"path": "/gateway/x", "authorization": "Bearer key"}
    assert ask(app, **request) == 401
    assert ask(app, **request, own=login("ada", "right")) == 200
    assert ask(app, login("ada", "right"), path="/gateway/x") == 200
    for _ in range(FROM_ADDRESS_AS_USER):
        assert ask(app, **request, own=login("bob")) == 401
    assert ask(app, **request, own=login("bob")) == 429
    assert ask(app, own=login("eve", "right"), path="/elsewhere") == 401


@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "Bearer x", "Basic", "Basic !", "Basic YQBiOng=", "Basic /w==", "Basic ü"),
        login("bob", "right") + "!",
    ],
)
def test_without_a_login_nobody_is_let_in_and_nothing_is_counted(app, users, authorization):
    for _ in range(throttle.FROM_ADDRESS + 1):
        assert ask(app, authorization) == 401
    assert users.asked == []
    assert ask(app, login("bob", "right")) == 200


def test_what_is_open_needs_no_login_and_looks_at_none(app, users):
    assert ask(app, path="/health") == 200
    assert ask(app, login("ada"), path="/health") == 200
    assert users.asked == []


def test_logins_that_cannot_be_checked_are_not_wrong(app, users):
    users.broken = True
    for _ in range(FROM_ADDRESS_AS_USER + 1):
        assert ask(app, login("ada", "right")) == 503
    users.broken = False
    assert ask(app, login("ada", "right")) == 200


def test_a_login_that_mlflow_finds_wrong_itself_is_counted(users):
    async def inner(_, __, send):
        await send({"type": "http.response.start", "status": 401, "headers": []})

    app = Throttle(inner, read_only="serving", logins=users)
    for _ in range(FROM_ADDRESS_AS_USER):
        assert ask(app, login("ada", "right")) == 401
    assert ask(app, login("ada", "right")) == 429


def test_the_read_only_user_reads(app):
    assert ask(app, login("serving", "right")) == 200
    assert ask(app, login("serving", "right"), method="POST") == 403
    assert ask(app, login("ada", "right"), method="POST") == 200
