"""A port that is attacked: the model server's own, a gateway's in front of it, or another's."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tests.integration.serving.hostile.client import Answer, Client

AT_ONCE = 10
"""Seconds for a good request's answer; machines are busy."""
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing sends RST


@dataclass(frozen=True)
class Door:
    port: int
    path: str
    """The good request's, a POST of JSON."""
    body: bytes
    answer: bytes
    """Part of the body of its answer."""
    host: str = "127.0.0.1"
    name: str = "localhost"
    """Value of the Host header."""
    tls: ssl.SSLContext | None = None
    authorization: str | None = None
    patience: float | None = None
    """Seconds in which a request's head must have come, or the connection ends; None if there is
    no such limit."""
    body_patience: float | None = None
    """The same for its body."""
    body_limit: int | None = None
    """Bytes that it may have."""
    headers: Collection[str] | None = None
    """Names that headers of answers may have, as they are written; None for any."""
    faults: Collection[int] = ()
    """Statuses above 499 with which the application answers what it did not expect."""
    tells_ids: bool = False
    """An answer has its request's X-Request-Id."""

    @contextlib.contextmanager
    def opened(
        self, seconds: float = 30, versions: Collection[str] = ("HTTP/1.1",)
    ) -> Iterator[tuple[socket.socket, Client]]:
        """A connection, on which everything is over in so many seconds."""
        with socket.create_connection((self.host, self.port), timeout=seconds) as sock:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_hostname=self.name)
            with sock:
                yield sock, Client(sock, seconds, self.headers, versions)

    def request(
        self,
        method: str = "POST",
        path: str | None = None,
        body: bytes | None = None,
        version: str = "1.1",
        **headers: str,
    ) -> bytes:
        """The good request, but for what is given; `_` in a header's name is a hyphen."""
        body = self.body if body is None else body
        lines = {"Host": self.name, "Content-Type": "application/json"}
        if body or method == "POST":
            lines["Content-Length"] = str(len(body))
        if self.authorization:
            lines["Authorization"] = self.authorization
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        target = self.path if path is None else path
        return f"{method} {target} HTTP/{version}\r\n{head}\r\n".encode() + body

    def ask(self, request: bytes, seconds: float = 30) -> Answer | None:
        """Its answer; None when the connection is closed without one."""
        with self.opened(seconds) as (sock, client):
            with contextlib.suppress(OSError):  # refused before all of it was read
                sock.sendall(request)
            return client.read()

    def check(self) -> None:
        """A good request is answered at once, and right."""
        since = time.monotonic()
        answer = self.ask(self.request())
        assert answer is not None
        assert answer.status == 200, answer.body[:300]
        assert self.answer in answer.body
        assert time.monotonic() - since < AT_ONCE


def reset(sock: socket.socket) -> None:
    """Close it as a machine that is gone does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
