"""What surrounds MLflow's logins: a limit on wrong passwords, and a user that only reads."""

from __future__ import annotations

import base64
import binascii
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
FROM_ADDRESS_AS_USER = 10
FROM_ADDRESS = 100
REMEMBERED = 10_000
READING = ("GET", "HEAD", "OPTIONS")


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
