"""A request's body off the network, within limits of size, time and the memory of all together."""

import asyncio
from collections.abc import Awaitable, Callable

from model_server.errors import RefusedError, overloaded
from model_server.metrics import BUFFERED

PATIENCE = 3.0
"""Seconds to go on reading, and dropping, a body that is refused. Most clients read the answer
only after they have sent all, and a connection closed under them hides the reason."""


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


class BodyReader:
    def __init__(self, limit: int, timeout: float, buffer_limit: int) -> None:
        self._limit = limit
        self._timeout = timeout
        self._buffer_limit = buffer_limit
        self._held = 0

    def release(self, size: int) -> None:
        """To be called with a body's length when its request is answered."""
        self._held -= size
        BUFFERED.set(self._held)

    async def read(self, receive: Callable[[], Awaitable[dict]], length: bytes | None) -> bytes:
        """Raises RefusedError 400, 408, 413 or 429, and DisconnectedError."""
        announced = _announced(length)
        if announced > self._limit:
            await self._refuse_too_large(receive)
        if self._held + announced > self._buffer_limit:
            await self._drop(receive)
            raise overloaded("The server holds too many requests' bodies.")
        message = await self._first(receive)
        if not message.get("more_body"):
            return self._hold(message["body"])
        return await self._rest(receive, message["body"])

    async def _first(self, receive: Callable[[], Awaitable[dict]]) -> dict:
        try:
            async with asyncio.timeout(self._timeout):
                return _checked(await receive())
        except TimeoutError:
            raise _too_slow(self._timeout) from None

    async def _rest(self, receive: Callable[[], Awaitable[dict]], first: bytes) -> bytes:
        parts = [self._hold(first)]
        size = len(first)
        try:
            async with asyncio.timeout(self._timeout):
                more = True
                while more:
                    message = _checked(await receive())
                    more = message.get("more_body", False)
                    parts.append(self._hold(message["body"]))
                    size += len(message["body"])
                    if size > self._limit:
                        await self._refuse_too_large(receive)
                    if self._held > self._buffer_limit:
                        await self._drop(receive)
                        raise overloaded("The server holds too many requests' bodies.")
        except BaseException as error:
            self.release(size)
            if isinstance(error, TimeoutError):
                raise _too_slow(self._timeout) from None
            raise
        return b"".join(parts)

    def _hold(self, part: bytes) -> bytes:
        self._held += len(part)
        BUFFERED.set(self._held)
        return part

    async def _refuse_too_large(self, receive: Callable[[], Awaitable[dict]]) -> None:
        await self._drop(receive)
        raise RefusedError(
            413,
            "INVALID_PARAMETER_VALUE",
            f"The body is larger than {self._limit} bytes (SERVING_BODY_LIMIT).",
            close=True,
        )

    async def _drop(self, receive: Callable[[], Awaitable[dict]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while _checked(await receive()).get("more_body"):
                    pass
        except TimeoutError:
            return


def _announced(length: bytes | None) -> int:
    if length is None:
        return 0
    if not length.isdigit():
        raise RefusedError(400, "BAD_REQUEST", "Content-Length is not a number.", close=True)
    return int(length)


def _checked(message: dict) -> dict:
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    return message


def _too_slow(seconds: float) -> RefusedError:
    return RefusedError(
        408, "DEADLINE_EXCEEDED", f"The body took longer than {seconds:g} s.", close=True
    )
