"""Requests that a server cancels when it stops, as their time is over, and what they clean up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = 4.0
"""Less than the server is given before it is killed."""


class Ending:
    """Lets them come to their end before the process does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            await self._app(scope, self._waiting(receive), send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1

    def _waiting(self, receive: Receive) -> Receive:
        async def waiting() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SECONDS):
                        while self._running:
                            await asyncio.sleep(0.05)
            return message

        return waiting
