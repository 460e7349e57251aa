"""Closed-loop HTTP load on one port of 127.0.0.1: each client sends, waits, sends again.

Requests are bytes made beforehand and answers are not parsed beyond status and length, so that
one process of this generator is an order of magnitude faster than what it measures.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

JSON = {"Content-Type": "application/json"}
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Request:
    """One HTTP request, with a JSON body unless its headers say otherwise."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=JSON.copy)

    def encode(self, port: int) -> bytes:
        """The request as it is sent."""
        headers = {
            "Host": f"127.0.0.1:{port}",
            **self.headers,
            "Content-Length": str(len(self.body)),
        }
        lines = [f"{self.method} {self.path} HTTP/1.1", *map(": ".join, headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


@dataclass
class Result:
    """What one burst of load measured."""

    seconds: float
    requests: int = 0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)  # seconds

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return (self.requests - self.errors) / self.seconds

    def percentile(self, percent: int) -> float:
        """Latency in milliseconds."""
        if len(self.latencies) < 2:
            return 1000 * sum(self.latencies)
        return 1000 * statistics.quantiles(self.latencies, n=100, method="inclusive")[percent - 1]


def run(port: int, clients: Iterable[Iterator[Request]], seconds: float) -> Result:
    """Let each client send its requests, one after the other, for some seconds or to their end."""
    return asyncio.run(_run(port, list(clients), seconds))


async def _run(port: int, clients: list[Iterator[Request]], seconds: float) -> Result:
    result = Result(seconds)
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for requests in clients:
            group.create_task(_client(port, requests, start + seconds, result))
    result.seconds = time.perf_counter() - start
    return result


async def _client(port: int, requests: Iterator[Request], end: float, result: Result) -> None:
    connection = None
    for request in requests:
        start = time.perf_counter()
        if start >= end:
            break
        try:
            connection = connection or await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(ANSWER_SECONDS):
                status = await _exchange(*connection, request.encode(port))
        except (OSError, EOFError, TimeoutError):
            status, connection = 0, None
        result.requests += 1
        result.errors += status != 200
        result.latencies.append(time.perf_counter() - start)
    if connection:
        connection[1].close()
        with contextlib.suppress(OSError):
            await connection[1].wait_closed()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> int:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, header, length = head.partition(b"\r\ncontent-length:")
    if not header:
        raise EOFError("an answer without Content-Length")
    await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
    return int(head[9:12])
