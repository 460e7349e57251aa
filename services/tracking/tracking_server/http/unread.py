"""Answers that are given before the request's body has come.

Whoever has no login gets its 401 at once, and the rest of its body is waited for by nobody: neither
by this server, nor by the gateway, which passes on that the connection closes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SILENCE = 0.5
"""Seconds without a piece of the body after which the connection is closed."""
PATIENCE = 3.0
"""Seconds to go on reading, and dropping, what the client still sends. Many read the answer only
after they have sent all, and a connection closed under them hides the reason."""


def has_body(scope: Scope) -> bool:
    """Whether a body belongs to this request, come or not."""
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class Unread:
    """Makes such an answer the last of its connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and close if its body has not come."""
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        # To whoever waits for it, the server says "go on" as soon as it reads.
        waits = "100-continue" in Headers(scope=scope).get("expect", "").lower()
        ended = closes = False

        async def noted() -> Message:
            nonlocal ended, waits
            waits = False
            message = await receive()
            ended = ended or not message.get("more_body", False)
            return message

        async def drop(silence: float) -> None:
            try:
                while not ended:
                    async with asyncio.timeout(silence):
                        await noted()
            except TimeoutError:
                pass

        async def answer(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start":
                if not waits:
                    await drop(0)  # what has come counts, whether it was looked at or not
                closes = not ended
                if closes:
                    MutableHeaders(scope=message)["connection"] = "close"
            elif closes and not message.get("more_body", False):
                await send({**message, "more_body": True})
                try:
                    async with asyncio.timeout(PATIENCE):
                        await drop(SILENCE)
                except TimeoutError:
                    pass
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, noted, answer)
