"""HTTP/1.1: requests off connections, answers onto them.

httptools parses. What is here keeps the order, the limits and the time, with one object a
connection and neither task nor coroutine a request: under load, that is what serving costs.
RFC 9112 is the protocol; a connection answers its requests in their order, and goes on reading
while it does.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import httptools

from model_server import errors
from model_server.errors import RefusedError
from model_server.front.exchange import Exchange, Source

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


@dataclass(frozen=True)
class Limits:
    """Bounds of what connections may take."""

    body: int
    """Bytes of one body."""
    buffer: int
    """Bytes of all bodies held at one time."""
    connections: int
    head_seconds: float
    body_seconds: float


class Front(Protocol):
    """What all connections share; listener.py has it."""

    limits: Limits
    admit_body: Callable[[Exchange], None]
    handle: Callable[[Exchange], None]
    held: int
    connections: "set[Connection]"
    date: bytes
    is_closing: bool

    def note_end(self) -> None:
        """Take note that a connection has ended."""


class Connection(asyncio.Protocol):
    """One connection from the first byte to the last. What it waits for, it waits for until
    `deadline`."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Any = None
        """The Exchange whose request comes, if one does: the parser's order says when."""
        self._body: bytes | bytearray = b""
        """What has come of the one that is being read."""
        self._in_head = False
        self._head = 0
        """Bytes of the request line and headers that were parsed."""
        self._unparsed = 0
        """Bytes that came since the parser told anything: one endless header, or trailer."""
        self._moved = False
        """Whether it told anything of what came last."""
        self._left = 0
        """Bytes of answers that the client had not taken at the last look."""
        self._is_full = False
        """The client takes its answers too slowly to be given more."""
        self._ready: deque[Exchange] = deque()
        """Whole requests, in order; the first is being handled."""
        self._refused = False
        self._offered: Exchange
        """A request that would rather go on in another protocol."""
        self.deadline = time.monotonic() + KEEP_ALIVE

    # What the transport calls.

    # typeshed does not know that a stream's transport is one that writes.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or refuse one connection too many."""
        self._transport = transport
        self._front.connections.add(self)
        if len(self._front.connections) > self._front.limits.connections:
            self._refuse(
                errors.unavailable("There are too many connections for the open files (ulimit -n).")
            )

    def connection_lost(self, _: Exception | None) -> None:
        """Give back what its requests held."""
        self._front.connections.discard(self)
        self._release(len(self._body))
        # The first is being handled: it is released when it is answered.
        self._release(sum(len(exchange.body) for exchange in list(self._ready)[1:]))
        if streaming := self._streaming:
            self._ready.clear()
            streaming.gone()
        self._front.note_end()

    def data_received(self, data: bytes) -> None:
        """Parse, which calls the handlers below."""
        if self._refused:
            return
        self._moved = False
        if self._reading is None and not self._ready:
            self.deadline = time.monotonic() + self._front.limits.head_seconds
        try:
            rest = data
            while rest:
                try:
                    self._parser.feed_data(rest)
                    rest = b""
                except httptools.HttpParserUpgrade as upgrade:
                    rest = self._declined(self._offered, rest[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not self._refused:
                self._refuse(_cause(error))
        except httptools.HttpParserError:
            self._refuse(RefusedError(400, "BAD_REQUEST", "This is not valid HTTP."))
        else:
            self._unparsed = 0 if self._moved else self._unparsed + len(data)
            if self._unparsed > HEAD_LIMIT:
                self._refuse(_large_head())

    def eof_received(self) -> bool:
        """Half closed: a client may still wait for its answers. One that is in the middle of an
        answer in parts is taken to be gone, as an event stream's clients are at their end: nothing
        else would tell while no event comes."""
        if self._ready and not self._refused and not self._streaming:
            self._ready[-1].keeps_alive = False
            return True
        return False

    def pause_writing(self) -> None:
        """Read and answer no more: the client does not read."""
        self._is_full = True
        self._left = self._transport.get_write_buffer_size()
        self._rest()
        self._transport.pause_reading()
        if streaming := self._streaming:
            streaming.pause()

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self._is_full = False
        if self._refused and not self._ready:
            self.deadline = time.monotonic() + PATIENCE
            return
        self._rest()
        if len(self._ready) < PIPELINE:
            self._transport.resume_reading()
        if streaming := self._streaming:
            streaming.resume()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._refused:
            raise httptools.HttpParserError  # the last answer was given: nobody hears this
        self._reading = Exchange(self)
        self._in_head = self._moved = True
        self._head = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._reading.url += url
        self._count(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(name)
        self._count(value)
        if not self._in_head:
            return  # a trailer, which may not pass for a header
        headers = self._reading.headers
        name = name.lower()
        if name in headers:
            if name == b"host":
                raise RefusedError(400, "BAD_REQUEST", "There are two Host headers.")
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        """Look whether the body is to be read."""
        self._in_head = False
        self._moved = True
        exchange = self._reading
        exchange.method = self._parser.get_method()
        exchange.keeps_alive = self._parser.should_keep_alive()
        headers = exchange.headers
        if not exchange.keeps_alive or b"connection" in headers:  # else it is HTTP/1.1
            exchange.takes_chunks = self._parser.get_http_version() != "1.0"
        length = headers.get(b"content-length")
        if (length is None and b"transfer-encoding" not in headers) or length == b"0":
            return
        if self._parser.should_upgrade():
            return  # its head comes once more, without the offer
        self._front.admit_body(exchange)
        announced = int(length) if length is not None and length.isdigit() else 0
        if problem := self._too_much(announced, self._front.held + announced):
            raise problem
        self.deadline = time.monotonic() + self._front.limits.body_seconds
        if headers.get(b"expect", b"").lower() == b"100-continue" and not self._ready:
            self._transport.write(_CONTINUE)

    def on_chunk_header(self) -> None:
        """Note that something came."""
        self._moved = True

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._moved = True
        if self._body:
            # Not a list of chunks: of two bytes each, they would take twenty times their size.
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += chunk
        else:
            self._body = chunk
        self._front.held += len(chunk)
        if problem := self._too_much(len(self._body), self._front.held):
            raise problem

    def on_message_complete(self) -> None:
        """Hand the request over, or let it wait its turn."""
        exchange, self._reading = self._reading, None
        if self._parser.should_upgrade():
            self._offered = exchange
            return
        exchange.body = bytes(self._body)  # no copy of what is bytes
        self._body = b""
        self._ready.append(exchange)
        if not self._is_full:
            self.deadline = float("inf")
        if len(self._ready) == 1:
            self._handle(exchange)
        elif len(self._ready) >= PIPELINE:
            self._transport.pause_reading()

    # What the application calls.

    def answer(self, exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
        """Write a whole answer, the one to the first request."""
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
        self._go_on(closes)

    def begin(self, exchange: Exchange, status: int, head: bytes) -> None:
        """RFC 9112 6.3 and 7.1: in chunks, or up to the connection's end."""
        self._release(len(exchange.body))
        exchange.body = b""
        if self._is_over(exchange):
            source, exchange.source = exchange.source, None
            if source:
                source.gone()
            return
        if not exchange.takes_chunks:
            exchange.keeps_alive = False
        closes = not exchange.keeps_alive or self._front.is_closing
        self._transport.write(
            b"%b%b%b%b%b\r\n"
            % (
                _STATUS[status],
                head,
                self._front.date,
                b"transfer-encoding: chunked\r\n" if exchange.takes_chunks else b"",
                b"connection: close\r\n" if closes else b"",
            )
        )
        if self._is_full and exchange.source:  # of the answers before it
            exchange.source.pause()

    def write(self, exchange: Exchange, part: bytes) -> None:
        """Write a part of an answer."""
        if self._is_over(exchange) or exchange.method == b"HEAD" or not part:
            return
        if exchange.takes_chunks:
            part = b"%x\r\n%b\r\n" % (len(part), part)
        if self._is_full:
            self._left += len(part)  # what was on its way as it was told to pause
        self._transport.write(part)

    def end(self, exchange: Exchange) -> None:
        """End an answer in parts."""
        if self._is_over(exchange):
            return
        if exchange.takes_chunks and exchange.method != b"HEAD":
            self._transport.write(b"0\r\n\r\n")
        self._ready.popleft()
        self._go_on(not exchange.keeps_alive or self._front.is_closing)

    def _is_over(self, exchange: Exchange) -> bool:
        """Whether nothing of its answer can reach the client any more."""
        ready = self._ready
        return self._transport.is_closing() or not ready or ready[0] is not exchange

    @property
    def _streaming(self) -> Source | None:
        """Who writes the answer that is in the middle."""
        ready = self._ready
        return ready[0].source if ready else None

    def _go_on(self, closes: bool) -> None:
        """An answer is written."""
        ready = self._ready
        if closes:
            self._linger()
        elif ready:
            if len(ready) == PIPELINE - 1:
                self._transport.resume_reading()
            # In a turn of its own, so that a long pipeline is no deep recursion.
            asyncio.get_running_loop().call_soon(self._handle, ready[0])
        else:
            self._rest()

    # What the front calls.

    def expire(self) -> None:
        """The deadline has passed."""
        left = self._transport.get_write_buffer_size()
        if 0 < left < self._left:  # slow, but it takes something
            self._left = left
            self.deadline = time.monotonic() + SLOW_READER
        elif self._reading is not None and not self._refused:
            what = "head" if self._in_head else "body"
            setting = "SERVING_HEADER_TIMEOUT" if self._in_head else "SERVING_BODY_TIMEOUT"
            message = f"The request's {what} took too long ({setting})."
            self._refuse(RefusedError(408, "DEADLINE_EXCEEDED", message))
        else:
            self.abort()

    def close_when_idle(self) -> None:
        """Close it unless it is busy."""
        if not self._ready and self._reading is None:
            self._transport.close()

    def abort(self) -> None:
        """Close it now."""
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
        if self._refused:
            return
        self._refused = True
        exchange = self._reading or Exchange(self)
        self._reading = None
        self._release(len(self._body))
        self._body = b""
        exchange.keeps_alive = False
        exchange.refusal = refusal
        self._ready.append(exchange)
        if len(self._ready) == 1:
            self._handle(exchange)

    def _count(self, part: bytes) -> None:
        self._head += len(part) + 4
        if self._head > HEAD_LIMIT:
            raise _large_head()

    def _declined(self, offer: Exchange, rest: bytes) -> bytes:
        """Java's client offers h2c with a request, others a web socket. RFC 9110 7.8 lets a server
        ignore that; the parser does not, and takes the body for the other protocol. So the request
        is to be read once more, without the offer."""
        if offer.method == b"CONNECT":
            raise httptools.HttpParserError
        hidden = (b"connection", b"upgrade")
        lines = [b"%b: %b\r\n" % each for each in offer.headers.items() if each[0] not in hidden]
        if b"close" in offer.headers.get(b"connection", b"").lower():
            lines.append(b"connection: close\r\n")
        self._parser = httptools.HttpRequestParser(self)
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (offer.method, offer.url, b"".join(lines), rest)

    def _release(self, size: int) -> None:
        self._front.held -= size

    def _linger(self) -> None:
        """The last answer is written: go on reading for a moment, then close."""
        self._refused = True
        self._release(sum(len(exchange.body) for exchange in self._ready))
        self._ready.clear()
        self._left = self._transport.get_write_buffer_size()
        self.deadline = time.monotonic() + (SLOW_READER if self._left else PATIENCE)
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
            return errors.overloaded(
                "The server holds too many requests' bodies (SERVING_BUFFER_LIMIT)."
            )
        return None


def _large_head() -> RefusedError:
    return RefusedError(
        431,
        "BAD_REQUEST",
        f"The request's headers are larger than {HEAD_LIMIT} bytes, for which there is no setting.",
    )


def _cause(error: httptools.HttpParserCallbackError) -> RefusedError:
    """What a callback raised, which the parser wraps."""
    cause = error.__context__
    if isinstance(cause, RefusedError):
        return cause
    raise error
