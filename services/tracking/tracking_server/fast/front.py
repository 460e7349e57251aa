"""The fast path's place: before MLflow's application, within what guards that."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from tracking_server.fast import answered, calls, plain
from tracking_server.fast.calls import Call
from tracking_server.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNUSUAL = (b"origin", b"content-encoding", b"expect", b"x-mlflow-workspace", b"transfer-encoding")
"""Headers whose meaning is MLflow's, or its middleware's."""
LARGEST = plain.LONGEST_BATCH
"""Bytes of a body that is read whole before MLflow sees it."""


def add(app: FastAPI, settings: Settings) -> None:
    """Put it before MLflow's application, whose schema the database has."""
    from mlflow.environment_variables import MLFLOW_SERVER_X_FRAME_OPTIONS

    headers = {
        "x-content-type-options": "nosniff",
        "x-frame-options": MLFLOW_SERVER_X_FRAME_OPTIONS.get(),
        "vary": "Origin",
    }
    app.add_middleware(Fast, calls=calls.of(settings), headers=headers)


class Fast:
    """Answers what is plain; passes on all else as it came."""

    def __init__(
        self, app: ASGIApp, calls: Mapping[tuple[str, str], Call], headers: dict[str, str]
    ) -> None:
        """`headers` are those that MLflow's middleware gives every answer."""
        self._app = app
        self._calls = calls
        self._headers = [
            (b"content-type", b"application/json"),
            *((name.encode(), text.encode()) for name, text in headers.items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        call = None
        if scope["type"] == "http":
            call = self._calls.get((scope["method"], scope["path"]))
        if call is None or not _is_plain(scope):
            await self._app(scope, receive, send)
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
            headers = [(b"content-length", b"%d" % len(answer)), *self._headers]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return

        async def replayed() -> Message:
            return pieces.pop(0) if pieces else await receive()

        await self._app(scope, replayed, send)


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


def _is_plain(scope: Scope) -> bool:
    """Whether nothing but the body of a POST, of JSON, or the query of a GET says what is asked."""
    is_post = scope["method"] == "POST"
    host = kind = None
    for name, text in scope["headers"]:
        if name == b"host":
            if host is not None:
                return False
            host = text
        elif name == b"content-type":
            if kind is not None:
                return False
            kind = text
        elif name in UNUSUAL or (name == b"content-length" and not is_post and text != b"0"):
            return False
    if is_post and (kind != b"application/json" or scope["query_string"]):
        return False
    return host is not None and _is_known(host)


@lru_cache(1000)
def _is_known(host: bytes) -> bool:
    """By MLflow's own rule and list."""
    from mlflow.server.fastapi_security import get_allowed_hosts
    from mlflow.server.security_utils import is_allowed_host_header

    return is_allowed_host_header(get_allowed_hosts(), host.decode("latin-1"))
