"""A client that sends whatever it is given, and reads HTTP/1.1 answers by the letter."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Collection
from dataclasses import dataclass

from tests.integration.serving.hostile.attacks import Attack

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing sends RST
_NO_BODY = (204, 304)
HEADERS = {
    *("content-type", "content-length", "date", "connection", "x-request-id", "retry-after"),
    *("x-model-name", "x-model-version", "allow", "www-authenticate", "accept-encoding"),
}
"""Headers of the model server's answers."""
SIZES = {
    "small": ["content-length: 100"],
    "large": ["content-length: 1000000"],
    "chunked": ["transfer-encoding: chunked"],
    "waiting": ["content-length: 100", "expect: 100-continue"],
}
"""A head's lines about the body."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes
    seconds: float
    """Counted since the connection was made."""


class HangError(AssertionError):
    """Neither answered nor closed in time."""


class BrokenAnswerError(AssertionError):
    """No answer in HTTP/1.1, or fewer than there must be."""


def head(start: str, *lines: str) -> bytes:
    """A request's, up to its body."""
    return "\r\n".join([f"{start} HTTP/1.1", "host: localhost", *lines, "", ""]).encode()


def launch(attack: Attack, port: int, seconds: float) -> list[Answer]:
    """Send it, and read its answers, within so many seconds. Interim answers are left out."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        client = Client(sock, seconds)
        client.send(attack)
        if attack.then == "vanish":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return []
        if attack.then == "shut":
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
        answers: list[Answer] = []
        while attack.answers == 0 or len(answers) < attack.answers:
            answer = client.read(is_head=attack.method == "HEAD")
            if answer is None:
                break
            answers.append(answer)
        if len(answers) < attack.answers:
            raise BrokenAnswerError(f"{len(answers)} of {attack.answers} answers, then the end")
        return answers


class Client:
    """One connection, which ends within so many seconds. `known`: the names that headers of
    answers may have; None for any. `versions`: what their status lines may begin with."""

    def __init__(
        self,
        sock: socket.socket,
        seconds: float,
        known: Collection[str] | None = HEADERS,
        versions: Collection[str] = ("HTTP/1.1",),
    ) -> None:
        self._sock = sock
        self._known = known
        self._versions = versions
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._data = b""

    def send(self, attack: Attack) -> None:
        """All of it, or until the server hears no more."""
        for part in attack.parts:
            if attack.pause and select.select([self._sock], [], [], attack.pause)[0]:
                if attack.answers == 1:
                    return
                time.sleep(attack.pause)
            try:
                self._sock.settimeout(self._left())
                self._sock.sendall(part)
            except TimeoutError:
                raise HangError("it does not read") from None
            except OSError:
                return

    def allow(self, seconds: float) -> None:
        """Allow so many from now on, in place of those at first."""
        self._deadline = time.monotonic() + seconds

    def read(self, *, is_head: bool = False) -> Answer | None:
        """The next answer; None when there is no more."""
        while True:
            while b"\r\n\r\n" not in self._data:
                if not self._receive():
                    if self._data:
                        raise BrokenAnswerError(f"an answer's head ends early: {self._data[:200]}")
                    return None
            head, _, rest = self._data.partition(b"\r\n\r\n")
            status, headers = _parsed(head, self._known, self._versions)
            if status >= 200:
                break
            self._data = rest
        start = len(head) + 4
        if is_head or status in _NO_BODY:
            whole = start
        elif headers.get("transfer-encoding") == "chunked":
            whole = self._end_of_chunks(start)
        elif "content-length" in headers or self._known is not None:
            whole = start + int(headers["content-length"])
            self._receive_to(whole)
        else:  # it ends with the connection
            while self._receive():
                pass
            whole = len(self._data)
        raw, self._data = self._data[:whole], self._data[whole:]
        seconds = time.monotonic() - self._started
        return Answer(status, headers, raw[start:], raw, seconds)

    def _end_of_chunks(self, at: int) -> int:
        """The end of a body that begins at `at`; its chunks stay as they came."""
        while True:
            while b"\r\n" not in self._data[at:]:
                self._receive_to(len(self._data) + 1)
            line, _, _ = self._data[at:].partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            at += len(line) + 2 + size + 2
            self._receive_to(at)
            if size == 0:
                return at

    def _receive_to(self, size: int) -> None:
        while len(self._data) < size:
            if not self._receive():
                raise BrokenAnswerError("an answer's body ends early")

    def _receive(self) -> bool:
        """More of it; False at the end."""
        try:
            self._sock.settimeout(self._left())
            part = self._sock.recv(2**18)
        except TimeoutError:
            raise HangError(f"neither answered nor closed; so far {self._data[:200]}") from None
        except (ConnectionResetError, ssl.SSLEOFError, BrokenPipeError):
            return False
        self._data += part
        return bool(part)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise HangError(f"no end in time; so far {self._data[:200]}")
        return left


def _parsed(
    head: bytes, known: Collection[str] | None, versions: Collection[str]
) -> tuple[int, dict[str, str]]:
    """Parse strictly, to notice an answer that holds what a client slipped in."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version not in versions or not status[:3].isdigit():
        raise BrokenAnswerError(f"no status line: {first[:200]}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        if known is None:
            name = name.lower()
        is_known = known is None or name in known
        if (
            not colon
            or not is_known
            or (name in headers and known is not None)
            or "\n" in value
            or "\r" in value
        ):
            raise BrokenAnswerError(f"an odd header: {line[:200]}")
        headers[name] = value
    return int(status[:3]), headers
