"""What surrounds MLflow's logins: limits on checking passwords, and a user that only reads."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
FROM_ADDRESS_AS_USER = 10
FROM_ADDRESS = 100
REMEMBERED = 10_000
READING = ("GET", "HEAD", "OPTIONS")
CHECKS_AT_ONCE = 4
"""Passwords that one worker checks at one time: each takes 32 MiB, and a tenth of a second of CPU.
A worker has 40 threads, which would be more memory than the container's."""
TAKES_A_LOGIN = re.compile(r"/(ajax-)?api/(?!.*server-info)")
OF_OTHERS = "/gateway/"
"""Here MLflow takes its login from a header of its own, and passes Authorization on."""


class Failures:
    """Counts by key, each over a window that begins with its first failure."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: OrderedDict[object, tuple[float, int]] = OrderedDict()

    def wait(self, key: object) -> int:
        """Seconds until this key may try again; 0 when it may now."""
        began, count = self._counts.get(key, (0.0, 0))
        left = began + WINDOW_SECONDS - time.monotonic()
        return 0 if count < self._most or left <= 0 else int(left) + 1

    def add(self, key: object) -> bool:
        """Whether this one is the last that is let through."""
        now = time.monotonic()
        began, count = self._counts.pop(key, (now, 0))
        if now - began > WINDOW_SECONDS:
            began, count = now, 0
        self._counts[key] = began, count + 1
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        return count + 1 == self._most


class Throttle:
    """429 to whoever has sent too many wrong passwords: by address and user, so that nobody locks
    out a user from elsewhere, and by address. Each worker counts for itself.

    The address is the last of X-Forwarded-For, which the gateway writes itself; who reaches this
    server past the gateway, from another container of the stack, can claim any.
    """

    def __init__(self, app: ASGIApp, read_only: str) -> None:
        self._app = app
        self._read_only = read_only
        self._by_user = Failures(FROM_ADDRESS_AS_USER)
        self._by_address = Failures(FROM_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (user := _user(scope)):
            _drop_what_is_no_login(scope)
            await self._app(scope, receive, send)
            return
        address = _address(scope)
        if seconds := max(self._by_user.wait((address, user)), self._by_address.wait(address)):
            answer = _error(429, "REQUEST_LIMIT_EXCEEDED", "Too many wrong passwords: wait.")
            answer.headers["Retry-After"] = str(seconds)
            await answer(scope, receive, send)
            return
        if user == self._read_only and scope["method"] not in READING:
            answer = _error(403, "PERMISSION_DENIED", f"The user {user} may only read.")
            await answer(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                locked = [self._by_user.add((address, user)), self._by_address.add(address)]
                if any(locked):
                    logger.warning("too many wrong passwords from %s", address)
            await send(message)

        await self._app(scope, receive, watched)


class FewChecks:
    """Around MLflow's Flask application: few passwords are checked at one time.

    What got through lately is let through at once, since MLflow knows its password for `seconds`.
    """

    def __init__(self, app: WSGIApplication, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._few = threading.BoundedSemaphore(CHECKS_AT_ONCE)
        self._passed: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: Callable) -> Iterable[bytes]:
        login = environ.get("HTTP_AUTHORIZATION")
        if login is None:
            return self._app(environ, start_response)
        key = hashlib.sha256(login.encode("latin-1")).digest()
        if self._passed.get(key, 0) > time.monotonic():
            return self._app(environ, start_response)

        def noted(status: str, *rest: Any) -> Callable:
            # Elsewhere nobody looks at a password.
            if not status.startswith("401") and TAKES_A_LOGIN.match(environ["PATH_INFO"]):
                self._note(key)
            return start_response(status, *rest)

        with self._few:
            return self._app(environ, noted)

    def _note(self, key: bytes) -> None:
        with self._lock:
            self._passed[key] = time.monotonic() + self._seconds
            if len(self._passed) > REMEMBERED:
                self._passed.popitem(last=False)


def _drop_what_is_no_login(scope: Scope) -> None:
    """MLflow fails with a 500 on a scheme that has no password."""
    if scope["type"] == "http" and not scope["path"].startswith(OF_OTHERS):
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"authorization"]


def _user(scope: Scope) -> str:
    """The name that is claimed, "" where there is none."""
    scheme, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return "?"


def _address(scope: Scope) -> str:
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or (scope["client"] or ("?",))[0]


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error_code": code, "message": message}, status)
