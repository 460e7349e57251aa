"""Who is let in to MLflow: logins are checked here, a few at one time, before a body is read."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import time
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tracking_server.http.unread import has_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
FROM_ADDRESS_AS_USER = 10
FROM_ADDRESS = 100
REMEMBERED = 10_000
READING = ("GET", "HEAD", "OPTIONS")
CHECKS_AT_ONCE = 4
"""Passwords that one worker checks at one time: each takes 32 MiB, and a tenth of a second of
CPU."""
GATEWAY = "/gateway/"
"""MLflow's routes to providers of models. They take the login from a header of its own where there
is one, and pass Authorization on."""
GATEWAY_LOGIN = "x-mlflow-authorization"
CALLER: ContextVar[str | None] = ContextVar("caller", default=None)
"""The user whose login was right: of the request that is answered, in whichever thread."""


class Logins(Protocol):
    """What MLflow knows of users."""

    def is_open(self, path: str) -> bool:
        """Whether everybody may ask there."""

    def known(self, user: str, password: str) -> bool:
        """Whether this was found right lately; at once."""

    def check(self, user: str, password: str) -> bool:
        """Whether this is right; takes a tenth of a second, and makes it known.

        Raises:
            Exception: it cannot be told, since the database does not answer.
        """


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
    """401 to whoever has no login, and 429 to whoever has sent too many wrong passwords: by address
    and user, so that nobody locks out a user from elsewhere, and by address. Each worker counts for
    itself.

    The address is the last of X-Forwarded-For, which the gateway writes itself; who reaches this
    server past the gateway, from another container of the stack, can claim any.
    """

    def __init__(self, app: ASGIApp, read_only: str, logins: Logins) -> None:
        self._app = app
        self._read_only = read_only
        self._logins = logins
        self._by_user = Failures(FROM_ADDRESS_AS_USER)
        self._by_address = Failures(FROM_ADDRESS)
        self._few = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on whoever may ask."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._logins.is_open(scope["path"]) and not has_body(scope):
            # Whoever asks: the password is not looked at.
            del MutableHeaders(scope=scope)["authorization"]
            await self._app(scope, _nothing, send)
        elif login := _login(scope):
            await self._let_in(login, scope, receive, send)
        else:
            await _unauthenticated()(scope, receive, send)

    async def _let_in(
        self, login: tuple[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        address, user = _address(scope), login[0]
        refusal = self._shut_out(address, user)
        if refusal is None and not self._logins.known(*login):
            async with self._few:
                # Those that were asked meanwhile count too, and may have made this one known.
                refusal = self._shut_out(address, user)
                if refusal is None and not self._logins.known(*login):
                    refusal = await self._check(login, address)
        if refusal is None and user == self._read_only and scope["method"] not in READING:
            refusal = _error(403, "PERMISSION_DENIED", f"The user {user} may only read.")
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            """Another header may hold another login, which MLflow looks at itself."""
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._count(address, user)
            await send(message)

        CALLER.set(user)  # in this request's context alone
        await self._app(scope, receive, watched)

    async def _check(self, login: tuple[str, str], address: str) -> Response | None:
        try:
            if await asyncio.to_thread(self._logins.check, *login):
                return None
        except Exception:
            logger.exception("logins cannot be checked")
            message = "The database of logins does not answer; see the tracking server's log."
            return _error(503, "TEMPORARILY_UNAVAILABLE", message)
        self._count(address, login[0])
        return _unauthenticated()

    def _shut_out(self, address: str, user: str) -> Response | None:
        seconds = max(self._by_user.wait((address, user)), self._by_address.wait(address))
        if not seconds:
            return None
        answer = _error(429, "REQUEST_LIMIT_EXCEEDED", "Too many wrong passwords: wait.")
        answer.headers["Retry-After"] = str(seconds)
        return answer

    def _count(self, address: str, user: str) -> None:
        last = [self._by_user.add((address, user)), self._by_address.add(address)]
        if any(last):
            logger.warning("too many wrong passwords from %s", address)


async def _nothing() -> Message:
    """The body of a request that nobody is known to have sent."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _login(scope: Scope) -> tuple[str, str] | None:
    """User and password, where MLflow looks for them, and as it reads them; None where there are
    none."""
    headers = Headers(scope=scope)
    login = headers.get(GATEWAY_LOGIN, "") if scope["path"].startswith(GATEWAY) else ""
    scheme, _, credentials = (login or headers.get("authorization", "")).partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(credentials.strip(" \t"), validate=True).decode()
    except ValueError:
        return None
    user, _, password = decoded.partition(":")
    # Nobody is called so, and no database can look for one.
    return (user, password) if user and "\0" not in user else None


def _address(scope: Scope) -> str:
    """Who is counted: an IPv6 address by its network, since whoever has one has all of these."""
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
    address = forwarded or (scope["client"] or ("?",))[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(parsed), 64), strict=False))


def _unauthenticated() -> Response:
    """Answer as MLflow does: its client shows the text, and browsers ask for a login."""
    text = (
        "You are not authenticated: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
        "to a login of this server."
    )
    return PlainTextResponse(text, 401, {"WWW-Authenticate": 'Basic realm="mlflow"'})


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error_code": code, "message": message}, status)
