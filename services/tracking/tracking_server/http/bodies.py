"""How much of a request's body is read, of all at one time, and for how long it is waited for.

MLflow holds the body of every request in memory, many times over, but for artifacts, which pass
through in pieces; and it unpacks traces without a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import zlib
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from tracking_server.http.room import Room

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATIENCE = 60.0
"""Seconds in which the next piece of a body must come, however small."""
ROOM_PATIENCE = 30.0
"""Seconds that a body waits for room; MLflow's client gives up on an answer after 120."""
RETRY_AFTER = "5"
SMALL = 65536
"""Bytes of a body that waits for no room: those that servers keep of each connection anyway."""
ARTIFACT = re.compile(r"/(ajax-)?api/2\.0/mlflow-artifacts/artifacts/")
TRACES = "/v1/traces"
PIECE = 65536
FORMATS = {"gzip": (31,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
"""`wbits` of zlib, in the order in which MLflow tries them."""


class _BodyError(Exception):
    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.answer = JSONResponse(
            {"error_code": code, "message": message}, status, {"Connection": "close", **headers}
        )


class Bodies:
    """413 to a body of more than `limit` bytes, packed or unpacked, unless it is an artifact; 408
    to one that stops coming; 503 to one that finds no room, since all that a worker holds at one
    time have no more than `limit` together."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._room = Room(limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, within the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_artifact = scope["method"] == "PUT" and ARTIFACT.match(scope["path"])
        limit = None if is_artifact else self._limit
        refused: _BodyError | None = None
        answering = False
        place = _Place(self._room)
        pieces = _pieces(scope, receive, limit, place)

        async def guarded() -> Message:
            nonlocal refused
            try:
                return await pieces()
            except _BodyError as error:
                refused = error
                raise

        async def unless_refused(message: Message) -> None:
            """MLflow may make an answer of its own of what `guarded` raises."""
            nonlocal answering
            if refused is None or answering:
                answering = True
                await send(message)

        try:
            packed = Headers(scope=scope).get("content-encoding", "").lower()
            if packed in FORMATS and scope["path"].startswith(TRACES):
                pieces = await self._small(pieces, packed, place)
            await self._app(scope, guarded, unless_refused)
        except _BodyError as error:
            refused = error
        except Exception:
            if refused is None:
                raise
        finally:
            place.leave()
        if refused is not None and not answering:
            await refused.answer(scope, receive, send)

    async def _small(self, pieces: Receive, packed: str, place: _Place) -> Receive:
        """The packed body, as it came, once it is known to become no larger than the limit."""
        body = bytearray()
        more = True
        while more:
            message = await pieces()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        size = await asyncio.to_thread(_size, bytes(body), packed, self._limit)
        if size > self._limit:
            raise _too_large(self._limit)
        await place.take(max(size, len(body)))
        whole = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replayed() -> Message:
            return whole.pop() if whole else await pieces()

        return replayed


class _Place:
    """What one request has of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.taken = 0

    async def take(self, size: int) -> None:
        """Take so much in place of what it has."""
        self.leave()
        if size > SMALL:
            if not await self._room.take(size, ROOM_PATIENCE):
                text = "The tracking server holds as many large requests as it can: try again."
                again = {"Retry-After": RETRY_AFTER}
                raise _BodyError(503, "TEMPORARILY_UNAVAILABLE", text, **again)
            self.taken = size

    def leave(self) -> None:
        """Give it back."""
        if self.taken:
            self._room.give(self.taken)
        self.taken = 0


def _pieces(scope: Scope, receive: Receive, limit: int | None, place: _Place) -> Receive:
    """`receive`, within the limit, the room and the time."""
    length = Headers(scope=scope).get("content-length", "")
    declared = int(length) if length.isdecimal() else 0
    read = 0
    more = True

    async def piece() -> Message:
        nonlocal read, more
        if limit is not None and declared > limit:
            raise _too_large(limit)
        if not more:  # what comes now is that the client leaves
            return await receive()
        if limit is not None and not place.taken and max(declared, read) > SMALL:
            await place.take(declared or limit)
        try:
            async with asyncio.timeout(PATIENCE):
                message = await receive()
        except TimeoutError:
            text = "The rest of the request's body did not come."
            raise _BodyError(408, "REQUEST_TIMEOUT", text) from None
        more = message.get("more_body", False)
        read += len(message.get("body", b""))
        if limit is not None and read > limit:
            raise _too_large(limit)
        return message

    return piece


def _too_large(limit: int) -> _BodyError:
    text = f"The request's body is larger than {limit} bytes (TRACKING_BODY_LIMIT)."
    return _BodyError(413, "INVALID_PARAMETER_VALUE", text)


def _size(body: bytes, packed: str, limit: int) -> int:
    """How many bytes this unpacks to, or a number above the limit; 0 of what cannot be unpacked:
    MLflow says what is wrong with it."""
    for wbits in FORMATS[packed]:
        with contextlib.suppress(zlib.error):
            return _unpacked_size(body, wbits, limit)
    return 0


def _unpacked_size(body: bytes, wbits: int, limit: int) -> int:
    """Count its bytes, up to a number above the limit. gzip may hold several members."""
    size = 0
    while body:
        unpacking: Any = zlib.decompressobj(wbits)
        while body and not unpacking.eof and size <= limit:
            size += len(unpacking.decompress(body, PIECE))
            body = unpacking.unconsumed_tail
        if size > limit or wbits != FORMATS["gzip"][0]:
            return size
        body = unpacking.unused_data.lstrip(b"\0")
    return size
