"""HTTP/1.1: requests off connections, answers onto them.

httptools parses. What is here keeps the order, the limits and the time, with one object a
connection and neither task nor coroutine a request: under load, that is what serving costs.
RFC 9112 is the protocol; a connection answers its requests in their order, and goes on reading
while it does.
"""

import asyncio
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools

from model_server import errors
from model_server.errors import RefusedError
from model_server.front.exchange import Exchange

if TYPE_CHECKING:
    from model_server.front.listener import Listener

HEAD_LIMIT = 64 * 2**10
"""Bytes of a request line and headers; more: 431."""
KEEP_ALIVE = 75.0
"""Seconds that an idle connection stays; longer than clients and proxies keep theirs."""
PIPELINE = 16
"""Requests of one connection that are read ahead of their turn."""
PATIENCE = 3.0
"""Seconds to go on reading, and dropping, what a refused client still sends. Many read the answer
only after they have sent all, and a connection closed under them hides the reason."""
SLOW_READER = 30.0
"""Seconds in which a client must take something of its answer."""

_STATUS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
_STATUS[499] = b"HTTP/1.1 499 Client Closed Request\r\n"  # MLflow's, of a model's CANCELLED
NO_CONTENT = 204
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """From the first byte to the last. What it waits for, it waits for until `deadline`."""

    def __init__(self, front: "Listener") -> None:
        self._front = front
        self._transport: asyncio.Transport = None
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Exchange | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._in_head = False
        self._head = 0
        """Bytes of the request line and headers that were parsed."""
        self._unparsed = 0
        """Bytes that came before its end: one endless header is never parsed."""
        self._is_full = False
        """The client takes its answers too slowly to be given more."""
        self._ready: deque[Exchange] = deque()
        """Whole requests, in order; the first is being handled."""
        self._refused = False
        self._offered: Exchange | None = None
        """A request that would rather go on in another protocol."""
        self.deadline = time.monotonic() + KEEP_ALIVE

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._front.connections.add(self)
        if len(self._front.connections) > self._front.limits.connections:
            self._refuse(errors.unavailable("There are too many connections."))

    def connection_lost(self, _: Exception | None) -> None:
        self._front.connections.discard(self)
        self._release(self._size)
        # The first is being handled: it is released when it is answered.
        self._release(sum(len(exchange.body) for exchange in list(self._ready)[1:]))
        self._front.note_end()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._reading is None and not self._ready:
            self.deadline = time.monotonic() + self._front.limits.head_seconds
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._decline(self._offered, data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._refuse(_cause(error))
        except httptools.HttpParserError:
            self._refuse(RefusedError(400, "BAD_REQUEST", "This is not valid HTTP."))
        else:
            if self._in_head:
                self._unparsed += len(data)
                if self._unparsed > HEAD_LIMIT:
                    self._refuse(_large_head())

    def eof_received(self) -> bool:
        """Half closed: a client may still wait for its answers."""
        if self._ready and not self._refused:
            self._ready[-1].keeps_alive = False
            return True
        return False

    def pause_writing(self) -> None:
        self._is_full = True
        self._rest()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        self._rest()
        if len(self._ready) < PIPELINE:
            self._transport.resume_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._reading = Exchange(self)
        self._in_head = True
        self._head = self._unparsed = 0

    def on_url(self, url: bytes) -> None:
        self._reading.url += url
        self._count(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name)
        self._count(value)
        headers = self._reading.headers
        name = name.lower()
        if name in headers:
            if name == b"host":
                raise RefusedError(400, "BAD_REQUEST", "There are two Host headers.")
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        exchange = self._reading
        exchange.method = self._parser.get_method()
        exchange.keeps_alive = self._parser.should_keep_alive()
        headers = exchange.headers
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return
        announced = int(length) if length is not None and length.isdigit() else 0
        if problem := self._too_much(announced, self._front.held + announced):
            raise problem
        self.deadline = time.monotonic() + self._front.limits.body_seconds
        if headers.get(b"expect", b"").lower() == b"100-continue" and not self._ready:
            self._transport.write(_CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._front.held += len(chunk)
        if problem := self._too_much(self._size, self._front.held):
            raise problem

    def on_message_complete(self) -> None:
        exchange, self._reading = self._reading, None
        if self._parser.should_upgrade():
            self._offered = exchange
            return
        chunks = self._chunks
        if chunks:
            exchange.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._chunks = []
            self._size = 0
        self._ready.append(exchange)
        if not self._is_full:
            self.deadline = float("inf")
        if len(self._ready) == 1:
            self._handle(exchange)
        elif len(self._ready) >= PIPELINE:
            self._transport.pause_reading()

    # What the application calls.

    def answer(self, exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
        front = self._front
        front.held -= len(exchange.body)
        transport = self._transport
        ready = self._ready
        if transport.is_closing() or not ready or ready[0] is not exchange:
            return
        ready.popleft()
        closes = not exchange.keeps_alive or front.is_closing
        transport.write(
            b"%b%b%b%b%b\r\n%b"
            % (
                _STATUS[status],
                head,
                front.date,
                b"content-length: %d\r\n" % len(body) if status != NO_CONTENT else b"",
                b"connection: close\r\n" if closes else b"",
                b"" if exchange.method == b"HEAD" else body,
            )
        )
        if closes:
            self._linger()
        elif ready:
            if len(ready) == PIPELINE - 1:
                transport.resume_reading()
            # In a turn of its own, so that a long pipeline is no deep recursion.
            asyncio.get_running_loop().call_soon(self._handle, ready[0])
        else:
            self._rest()

    # What the front calls.

    def expire(self) -> None:
        """The deadline has passed."""
        if self._reading is not None and not self._refused:
            what = "head" if self._in_head else "body"
            self._refuse(
                RefusedError(408, "DEADLINE_EXCEEDED", f"The request's {what} took too long.")
            )
        else:
            self.abort()

    def close_when_idle(self) -> None:
        if not self._ready:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _handle(self, exchange: Exchange) -> None:
        if self._transport.is_closing():
            self._release(len(exchange.body))
            return
        exchange.started = time.perf_counter()
        self._front.handle(exchange)

    def _rest(self) -> None:
        """Set the deadline for what is waited for now."""
        limits = self._front.limits
        if self._is_full:
            seconds = SLOW_READER
        elif self._ready:
            seconds = float("inf")
        elif self._reading is None:
            seconds = KEEP_ALIVE
        else:
            seconds = limits.head_seconds if self._in_head else limits.body_seconds
        self.deadline = time.monotonic() + seconds

    def _refuse(self, refusal: RefusedError) -> None:
        """Answer what is wrong with the request that is being read, in its turn, and hear no more
        of this client."""
        self._refused = True
        exchange = self._reading or Exchange(self)
        self._reading = None
        self._release(self._size)
        self._chunks, self._size = [], 0
        exchange.keeps_alive = False
        exchange.refusal = refusal
        self._ready.append(exchange)
        if len(self._ready) == 1:
            self._handle(exchange)

    def _count(self, part: bytes) -> None:
        self._head += len(part) + 4
        if self._head > HEAD_LIMIT:
            raise _large_head()

    def _decline(self, offer: Exchange, rest: bytes) -> None:
        """Java's client offers h2c with a request, others a web socket. RFC 9110 7.8 lets a server
        ignore that; the parser does not, and takes the body for the other protocol. So the request
        is read once more, without the offer."""
        if offer.method == b"CONNECT":
            raise httptools.HttpParserError
        hidden = (b"connection", b"upgrade")
        headers = ((name, value) for name, value in offer.headers.items() if name not in hidden)
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"%b %b HTTP/1.1\r\n%b\r\n" % (offer.method, offer.url, head) + rest)

    def _release(self, size: int) -> None:
        self._front.held -= size

    def _linger(self) -> None:
        """The last answer is written: go on reading for a moment, then close."""
        self._refused = True
        self._release(sum(len(exchange.body) for exchange in self._ready))
        self._ready.clear()
        self.deadline = time.monotonic() + PATIENCE
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _too_much(self, size: int, held: int) -> RefusedError | None:
        limits = self._front.limits
        if size > limits.body:
            return RefusedError(
                413,
                "INVALID_PARAMETER_VALUE",
                f"The body is larger than {limits.body} bytes (SERVING_BODY_LIMIT).",
            )
        if held > limits.buffer:
            return errors.overloaded("The server holds too many requests' bodies.")
        return None


def _large_head() -> RefusedError:
    return RefusedError(
        431, "BAD_REQUEST", f"The request's headers are larger than {HEAD_LIMIT} bytes."
    )


def _cause(error: httptools.HttpParserCallbackError) -> RefusedError:
    """What a callback raised, which the parser wraps."""
    cause = error.__context__
    if isinstance(cause, RefusedError):
        return cause
    raise error
