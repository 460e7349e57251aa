"""All connections of the server, their common limits, and its end."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from email.utils import formatdate

from model_server import metrics
from model_server.front.exchange import Exchange
from model_server.front.http1 import Connection, Limits

TICK = 0.25
"""Seconds between two looks at the connections' time limits."""


class Listener:
    """All connections of one server."""

    def __init__(
        self,
        limits: Limits,
        admit_body: Callable[[Exchange], None],
        handle: Callable[[Exchange], None],
    ) -> None:
        """`admit_body` is called with the head of each request that has a body, before that is
        read, and raises RefusedError where it is not to be. `handle` is called with each request
        when it is whole, and must see to its answer."""
        self.limits = limits
        self.admit_body = admit_body
        self.handle = handle
        self.held = 0
        """Bytes of bodies that were read and not yet answered."""
        self.connections: set[Connection] = set()
        self.date = b""
        self.is_closing = False
        self._is_empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self, sock: socket.socket) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._refresh_date()
        self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=2048)
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self, grace: float) -> None:
        """Take no new connections, let running requests be answered, close the rest after `grace`
        seconds."""
        self.is_closing = True
        if self._server:
            self._server.close()
        for connection in list(self.connections):
            connection.close_when_idle()
        if self.connections:
            self._is_empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._is_empty.wait()
        for connection in list(self.connections):
            connection.abort()
        if self._ticker:
            self._ticker.cancel()

    def note_end(self) -> None:
        """A connection has ended."""
        if not self.connections:
            self._is_empty.set()

    def _refresh_date(self) -> None:
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()

    async def _tick(self) -> None:
        while True:
            self._refresh_date()
            now = time.monotonic()
            for connection in [one for one in self.connections if one.deadline < now]:
                connection.expire()
            metrics.BUFFERED.set(self.held)
            metrics.CONNECTIONS.set(len(self.connections))
            await asyncio.sleep(TICK)
