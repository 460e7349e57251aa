"""The fast path's place: before MLflow's application, within what guards that."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tracking_server.fast import answered, calls, otlp, plain
from tracking_server.fast.calls import Call
from tracking_server.fast.otlp import Exports
from tracking_server.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ONCE = (
    *(b"host", b"origin", b"content-type", b"authorization"),
    *(b"content-encoding", otlp.EXPERIMENT),
)
"""Of several, MLflow and its middleware take one or another."""
UNUSUAL = (b"expect", b"x-mlflow-workspace", b"transfer-encoding")
"""Headers whose meaning is MLflow's, or its middleware's."""
OF_OTLP = (*UNUSUAL, b"x-mlflow-run-id")
JSON = (b"application/json", b"application/json; charset=utf-8")
"""As MLflow's client and its UI say it."""
SAME = re.compile(rb"content-type|vary|x-.*|access-control-.*")
"""Headers that every answer has, or every one to a page of the same origin."""
KNOWN = 1000
"""Hosts and origins, of which a client can make up any number."""
LARGEST = plain.LONGEST_BATCH
"""Bytes of a body that is read whole before MLflow sees it."""


Asked = tuple[str, bytes, bytes | None]
"""Method or path, Host and Origin: what MLflow's middleware refuses requests for, and what it and
the route give headers for."""


def add(app: FastAPI, settings: Settings) -> None:
    """Put it before MLflow's application, whose schema the database has."""
    app.add_middleware(Fast, calls=calls.of(settings), exports=calls.exports(settings))


class Fast:
    """Answers what is plain; passes on all else as it came."""

    def __init__(
        self, app: ASGIApp, calls: Mapping[tuple[str, str], Call], exports: Exports | None
    ) -> None:
        self._app = app
        self._calls = calls
        self._exports = exports
        self._headers: dict[Asked, list[tuple[bytes, bytes]]] = {}
        """As MLflow has answered others with: it is always the first to say whether a host or an
        origin may ask."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        of, call = found
        if of not in self._headers:
            await self._app(scope, receive, self._learning(of, send))
            return
        pieces: list[Message] = []
        asked: bytes | None = scope["query_string"]
        if scope["method"] == "POST":
            asked = await _read(receive, pieces)
        answer = None
        if asked is not None:
            with contextlib.suppress(msgspec.MsgspecError, ValueError):
                answer = await call(asked)
        if answer is not None:
            answered.mark(scope)
            headers = [(b"content-length", b"%d" % len(answer)), *self._headers[of]]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return

        async def replayed() -> Message:
            return pieces.pop(0) if pieces else await receive()

        await self._app(scope, replayed, send)

    def _find(self, scope: Scope) -> tuple[Asked, Call] | None:
        """What answers, if nothing of the head speaks against it."""
        key = scope["method"], scope["path"]
        call = self._calls.get(key)
        if call is not None:
            of = _asked(scope)
            return None if of is None else (of, call)
        if self._exports is None or key != otlp.ROUTE or scope["query_string"]:
            return None
        headers = _once(scope, OF_OTLP)
        head = None if headers is None else otlp.head(headers)
        if headers is None or head is None:
            return None
        return _of(scope["path"], headers), partial(self._exports.store, head)

    def _learning(self, of: Asked, send: Send) -> Send:
        """Send, and keep an answer's headers."""

        async def learning(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = [pair for pair in message["headers"] if pair[0] != b"content-length"]
                if all(SAME.fullmatch(name) for name, _ in headers):
                    if len(self._headers) >= KNOWN:
                        self._headers.clear()
                    self._headers[of] = headers
            await send(message)

        return learning


async def _read(receive: Receive, pieces: list[Message]) -> bytes | None:
    """The body, which is in `pieces` then as it came; None where it is too large, or broken off."""
    while not pieces or pieces[-1].get("more_body", False):
        if sum(map(_size, pieces)) > LARGEST:
            return None
        pieces.append(await receive())
    if pieces[-1]["type"] != "http.request":
        return None
    return b"".join(piece["body"] for piece in pieces)


def _size(piece: Message) -> int:
    return len(piece.get("body", b""))


def _asked(scope: Scope) -> Asked | None:
    """If nothing but the body of a POST, of JSON, or the query of a GET says what is asked."""
    is_post = scope["method"] == "POST"
    headers = _once(scope, UNUSUAL)
    if headers is None or b"content-encoding" in headers:
        return None
    if is_post and (headers.get(b"content-type") not in JSON or scope["query_string"]):
        return None
    return _of(scope["method"], headers)


def _once(scope: Scope, unusual: Collection[bytes]) -> dict[bytes, bytes] | None:
    """Headers that may come once; None where one comes again, or gives the request a meaning."""
    is_post = scope["method"] == "POST"
    once: dict[bytes, bytes] = {}
    for name, text in scope["headers"]:
        if name in ONCE:
            if name in once:
                return None
            once[name] = text
        elif name in unusual or (name == b"content-length" and not is_post and text != b"0"):
            return None
    return once


def _of(what: str, headers: Mapping[bytes, bytes]) -> Asked:
    return what, headers.get(b"host", b""), headers.get(b"origin")
