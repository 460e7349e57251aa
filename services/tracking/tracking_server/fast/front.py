"""The fast path's place: before MLflow's application, within what guards that."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import msgspec

from tracking_server.fast import answered, plain
from tracking_server.fast.plain import Log
from tracking_server.fast.postgres import Postgres
from tracking_server.fast.sqlite import Sqlite
from tracking_server.fast.writer import Store, Writer
from tracking_server.settings import SQLITE, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGS: dict[str, Callable[[bytes], Log | None]] = {
    f"/{api}/2.0/mlflow/runs/{name}": read
    for api in ("api", "ajax-api")
    for name, read in (
        ("log-metric", plain.log_metric),
        ("log-parameter", plain.log_parameter),
        ("log-batch", plain.log_batch),
        ("set-tag", plain.set_tag),
    )
}
UNUSUAL = (b"origin", b"content-encoding", b"expect", b"x-mlflow-workspace", b"transfer-encoding")
"""Headers whose meaning is MLflow's, or its middleware's."""


def add(app: FastAPI, settings: Settings) -> None:
    """Put it before MLflow's application, whose schema the database has."""
    from mlflow.environment_variables import MLFLOW_SERVER_X_FRAME_OPTIONS

    headers = {
        "x-content-type-options": "nosniff",
        "x-frame-options": MLFLOW_SERVER_X_FRAME_OPTIONS.get(),
        "vary": "Origin",
    }
    app.add_middleware(Fast, writer=Writer(partial(_open_store, settings)), headers=headers)


def _open_store(settings: Settings) -> Store:
    if settings.on_postgres:
        return Postgres(settings.backend_store.replace("+psycopg2", "", 1))
    return Sqlite(settings.backend_store.removeprefix(SQLITE))


LARGEST = plain.LONGEST_BATCH
"""Bytes of a body that is read whole before MLflow sees it."""


class Fast:
    """Answers what is plain; passes on all else as it came."""

    def __init__(self, app: ASGIApp, writer: Writer, headers: dict[str, str]) -> None:
        """`headers` are those that MLflow's middleware gives every answer."""
        self._app = app
        self._writer = writer
        self._headers = [
            (b"content-length", b"2"),
            (b"content-type", b"application/json"),
            *((name.encode(), text.encode()) for name, text in headers.items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        read = LOGS.get(scope["path"]) if scope["type"] == "http" else None
        if read is None or scope["method"] != "POST" or not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        pieces = [await receive()]
        while pieces[-1].get("more_body", False) and sum(map(_size, pieces)) <= LARGEST:
            pieces.append(await receive())
        if pieces[-1]["type"] == "http.request" and not pieces[-1].get("more_body", False):
            log = None
            with contextlib.suppress(msgspec.MsgspecError):
                log = read(b"".join(piece["body"] for piece in pieces))
            if log is not None and await self._writer.write(log):
                answered.mark(scope)
                await send({"type": "http.response.start", "status": 200, "headers": self._headers})
                await send({"type": "http.response.body", "body": b"{}"})
                return

        async def replayed() -> Message:
            return pieces.pop(0) if pieces else await receive()

        await self._app(scope, replayed, send)


def _size(piece: Message) -> int:
    return len(piece.get("body", b""))


def _is_plain(scope: Scope) -> bool:
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
        elif name in UNUSUAL:
            return False
    is_json = kind == b"application/json" and not scope["query_string"]
    return is_json and host is not None and _is_known(host)


@lru_cache(1000)
def _is_known(host: bytes) -> bool:
    """By MLflow's own rule and list."""
    from mlflow.server.fastapi_security import get_allowed_hosts
    from mlflow.server.security_utils import is_allowed_host_header

    return is_allowed_host_header(get_allowed_hosts(), host.decode("latin-1"))
