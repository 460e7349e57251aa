"""One end of a connection, and what passes between two of them."""

import asyncio
from collections.abc import Iterable
from types import TracebackType

import h11

HEAD_BYTES = 64 * 1024
PIECE = 64 * 1024
"""Bytes that are read at one time. A few such pieces are held each way, no more."""
IDLE_SECONDS = 900
"""The time without a byte either way; a provider may think for minutes."""
HALF_SECONDS = 60
"""The same, once one end has said that it sends no more."""

_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade"}
CLOSE = (b"connection", b"close")
"""One request a connection: the next may be for another host."""

Headers = list[tuple[bytes, bytes]]


class Peer:
    """Speaks HTTP, until `begin_tunnel`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        role: type[h11.SERVER | h11.CLIENT],
    ) -> None:
        """`role` is this side's: h11.SERVER towards a client."""
        self.reader = reader
        self.writer = writer
        self.http = h11.Connection(role, max_incomplete_event_size=HEAD_BYTES)
        self.early = b""
        """What came right behind the head that began the tunnel."""

    async def next(self) -> h11.Event:
        """Raises h11.RemoteProtocolError for what is no HTTP, a missing end included."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(await self.reader.read(PIECE))
        if not isinstance(event, h11.Event):
            raise h11.LocalProtocolError("what comes now is another protocol's")
        return event

    async def send(self, event: h11.Event) -> None:
        """Write an event."""
        self.writer.write(self.http.send(event) or b"")
        await self.writer.drain()

    def begin_tunnel(self) -> None:
        """What passes from here on may be HTTP again, of another connection."""
        self.early = self.http.trailing_data[0]
        self.http = h11.Connection(self.http.our_role, max_incomplete_event_size=HEAD_BYTES)

    @property
    def is_unanswered(self) -> bool:
        """Whether an answer may still begin here."""
        return self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    async def close(self) -> None:
        """What was written still goes out, where the other end takes it."""
        self.writer.close()
        try:
            async with asyncio.timeout(HALF_SECONDS):
                await self.writer.wait_closed()
        except OSError:
            self.abort()

    def abort(self) -> None:
        """Close it now."""
        self.writer.transport.abort()


class _Silence:
    """Ends what it surrounds when nothing passes for too long. Raises TimeoutError then."""

    def __init__(self) -> None:
        self.limit = IDLE_SECONDS
        self._timeout = asyncio.timeout(self.limit)

    async def __aenter__(self) -> "_Silence":
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def broken(self) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self.limit)


async def tunnel(one: Peer, other: Peer) -> None:
    """Pass bytes on until both have sent their last. Raises OSError, TimeoutError."""
    async with _Silence() as silence:
        ways = [asyncio.create_task(_pump(*pair, silence)) for pair in ((one, other), (other, one))]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()


async def _pump(source: Peer, sink: Peer, silence: _Silence) -> None:
    piece = source.early or await source.reader.read(PIECE)
    while piece:
        silence.broken()
        sink.writer.write(piece)
        await sink.writer.drain()
        piece = await source.reader.read(PIECE)
    silence.limit = HALF_SECONDS
    silence.broken()
    if sink.writer.can_write_eof() and not sink.writer.is_closing():
        sink.writer.write_eof()


async def exchange(client: Peer, server: Peer, request: h11.Request) -> None:
    """One request, whose head was read, and its answer. Raises OSError, TimeoutError,
    h11.ProtocolError."""
    async with _Silence() as silence:
        await server.send(request)
        body = asyncio.create_task(_send_body(client, server, silence))
        try:
            is_over = False
            while not is_over:
                event = await server.next()
                silence.broken()
                is_over = isinstance(event, h11.EndOfMessage)
                await client.send(_passed_on(event))
        finally:
            body.cancel()


async def _send_body(client: Peer, server: Peer, silence: _Silence) -> None:
    try:
        while isinstance(event := await client.next(), h11.Data):
            silence.broken()
            await server.send(event)
        await server.send(event)
    except (OSError, h11.ProtocolError):
        server.abort()  # and so its answer ends as well


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Those for the other end."""
    all_headers = list(headers)
    dropped = _HOP_BY_HOP | {
        option.strip().lower()
        for name, value in all_headers
        if name == b"connection"
        for option in value.split(b",")
    }
    if any(name == b"transfer-encoding" for name, _ in all_headers):
        dropped |= {b"content-length"}
    return [
        one for one in all_headers if one[0] not in dropped and not one[0].startswith(b"proxy-")
    ]


def _passed_on(event: h11.Event) -> h11.Event:
    if not isinstance(event, (h11.Response, h11.InformationalResponse)):
        return event
    headers = end_to_end(event.headers)
    if isinstance(event, h11.Response):
        headers.append(CLOSE)
    return type(event)(status_code=event.status_code, headers=headers, reason=event.reason)
