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
        if problem := self._too_much(announced, self._held + announced):
            await self._drop(receive)
            raise problem
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._timeout):
                more = True
                while more:
                    message = _checked(await receive())
                    more = message.get("more_body", False)
                    parts.append(message["body"])
                    size += len(parts[-1])
                    self.release(-len(parts[-1]))
                    if problem := self._too_much(size, self._held):
                        if more:
                            await self._drop(receive)
                        raise problem
        except BaseException as error:
            self.release(size)
            if isinstance(error, TimeoutError):
                raise _too_slow(self._timeout) from None
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_much(self, size: int, held: int) -> RefusedError | None:
        if size > self._limit:
            return RefusedError(
                413,
                "INVALID_PARAMETER_VALUE",
                f"The body is larger than {self._limit} bytes (SERVING_BODY_LIMIT).",
                close=True,
            )
        if held > self._buffer_limit:
            return overloaded("The server holds too many requests' bodies.")
        return None

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
