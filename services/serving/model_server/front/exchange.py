"""One HTTP request, and the way to answer it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from model_server.errors import RefusedError
from model_server.front.grants import NOT_ASKED

if TYPE_CHECKING:
    from model_server.models.shadow import Comparison
    from model_server.models.version import Version

_TRACEPARENT = re.compile(rb"[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}(?:-.*)?")
"""https://www.w3.org/TR/trace-context/: version, trace id, parent id, flags."""


class Source(NamedTuple):
    """Who writes an answer in parts, to be told what becomes of it."""

    gone: Callable[[], None]
    """Called once, when the client goes away before the answer's end."""
    pause: Callable[[], None]
    """The client takes parts more slowly than they are written: to write no more until `resume`."""
    resume: Callable[[], None]


class Connection(Protocol):
    """Where an answer goes."""

    def answer(self, exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
        """Write it whole."""

    def begin(self, exchange: Exchange, status: int, head: bytes) -> None:
        """Write its head."""

    def write(self, exchange: Exchange, part: bytes) -> None:
        """Write a part."""

    def end(self, exchange: Exchange) -> None:
        """Say that the last part was written."""


class Exchange:
    """One request, and the way to answer it."""

    __slots__ = (
        *("_connection", "body", "grant", "headers", "keeps_alive", "method", "model", "refusal"),
        *("comparison", "request_id", "source", "started", "takes_chunks", "url", "version"),
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.method = b""
        self.url = b""
        """The request's target as it came: path, escapes and query."""
        self.headers: dict[bytes, bytes] = {}
        """Values by lower-case name. Of a name that comes twice, the values joined by a comma."""
        self.body = b""
        self.keeps_alive = True
        self.takes_chunks = True
        """False for HTTP/1.0, where an answer in parts ends with its connection."""
        self.source: Source | None = None
        """Who writes an answer in parts; None before it begins."""
        self.started = 0.0
        """When the whole request was here, by time.perf_counter()."""
        self.refusal: RefusedError | None = None
        """Why this is no request to be handled: to be answered, and nothing else."""
        self.request_id = ""
        self.grant = NOT_ASKED
        """What its token lets it do, once it is admitted."""
        self.model: str | None = None
        """The served name that was asked for, once it is known."""
        self.version: Version
        """What predicts, once it was asked."""
        self.comparison: Comparison | None
        """The same request to its shadow, then."""

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that the client makes it a part of."""
        match = _TRACEPARENT.fullmatch(self.headers.get(b"traceparent", b""))
        return match[1].decode() if match else None

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Once. `head` is header lines, each with its line's end, but for the length and date."""
        self._connection.answer(self, status, head, body)

    def begin(self, status: int, head: bytes, source: Source) -> None:
        """Answer in parts, in place of `answer`; then come `write` and, once, `end`. After a call
        of `source.gone`, nothing that is written goes anywhere."""
        self.source = source
        self._connection.begin(self, status, head)

    def write(self, part: bytes) -> None:
        """Write a part."""
        self._connection.write(self, part)

    def end(self) -> None:
        """End an answer in parts."""
        self._connection.end(self)
