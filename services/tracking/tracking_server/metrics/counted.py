"""What is counted of every request, artifacts included, whichever process answers it.

MLflow's own exporter hooks Flask, which artifact routes never reach. This one is around the whole
application. Each worker counts in files of its own, which prometheus_client adds up; they are in
memory, so that counting waits for no disk. Import it only once there are `Counts`: the library
decides when it is imported whether it counts in files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracking_server.fast.answered import is_fast

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
"""2 is the limit of the alert TrackingSlow: between bounds, quantiles are guessed."""
GONE = 499
"""The status of a request whose client left before the answer began, as nginx has it."""

ROUTE = ("route", "method")
FAST = Counter("tracking_fast_requests", "Requests that the fast path answered", ROUTE)
REQUESTS = Counter("tracking_requests", "Requests answered", (*ROUTE, "status"))
LATENCY = Histogram(
    "tracking_request_seconds", "Seconds from a request's head to its last byte", ROUTE,
    buckets=SECONDS,
)  # fmt: skip
RECEIVED = Counter("tracking_received_bytes", "Bytes of request bodies", ROUTE)
SENT = Counter("tracking_sent_bytes", "Bytes of answers' bodies", ROUTE)
IN_FLIGHT = Gauge(
    "tracking_requests_in_flight", "Requests being answered", multiprocess_mode="livesum"
)
WORKER_EXITS = Counter("tracking_worker_exits", "Worker processes that ended")


class Series(NamedTuple):
    """The series that requests of one route, method and status add to."""

    requests: Counter
    fast: Counter
    latency: Histogram
    received: Counter
    sent: Counter


class Counted:
    """An ASGI application whose requests are counted. Asked on `port`, it answers by `page`."""

    def __init__(
        self, app: ASGIApp, route: Callable[[Scope], str], port: int | None, page: ASGIApp
    ) -> None:
        self._app = app
        self._route = route
        self._port = port
        self._page = page
        self._series: dict[tuple[str, str, int], Series] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["server"][1] == self._port:
            await self._page(scope, receive, send)
        else:
            await self._count(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = sent = status = 0
        left = False

        async def counted_receive() -> Message:
            nonlocal received, left
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
            else:
                left = True
            return message

        async def counted_send(message: Message) -> None:
            nonlocal sent, status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        started = time.perf_counter()
        IN_FLIGHT.inc()
        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            IN_FLIGHT.dec()
            status = status or (GONE if left else 500)
            series = self._of(self._route(scope), scope["method"], status)
            series.requests.inc()
            if is_fast(scope):
                series.fast.inc()
            series.latency.observe(time.perf_counter() - started)
            series.received.inc(received)
            series.sent.inc(sent)

    def _of(self, route: str, method: str, status: int) -> Series:
        key = (route, method if method in METHODS else OTHER, status)
        if key not in self._series:
            labels = key[:2]
            self._series[key] = Series(
                REQUESTS.labels(*key),
                FAST.labels(*labels),
                LATENCY.labels(*labels),
                RECEIVED.labels(*labels),
                SENT.labels(*labels),
            )
        return self._series[key]
