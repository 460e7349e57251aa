"""What children write to their standard output and error, in the server's log.

A model may write anything, lines that look like the server's own too. So each line is read here and
becomes one record, which says whose it is.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from model_server.log import Few

log = logging.getLogger("model_server.worker")

LONGEST = 16384
"""Bytes of a line that are kept."""
MOST = 200
"""Lines of one child in a second; the others are counted."""
BYTES = 8 * 2**20
"""One child's in a second; what writes more waits."""
_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
_OURS = frozenset(logging.makeLogRecord({}).__dict__) | {
    *("asctime", "level", "logger", "message", "timestamp", "process_name"),
}
"""What no child says of itself."""


class Output(asyncio.Protocol):
    """Turns what a child writes into log records."""

    def __init__(self, name: str, about: Mapping[str, object]) -> None:
        """about: facts that stand with each line, a model's name and version say."""
        self._facts = {"child": name, **about}
        self._line = bytearray()
        self._is_cut = False
        self._later = asyncio.get_running_loop().call_later
        self._few = Few(self._later, self._say_how_many, MOST)
        self._pipe: asyncio.ReadTransport
        self._left = BYTES

    # typeshed does not know that a pipe's transport is one that reads.
    def connection_made(self, transport: asyncio.ReadTransport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._pipe = transport

    def data_received(self, data: bytes) -> None:
        """Log each whole line."""
        self._spend(len(data))
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            if self._few.is_full:  # so that a flood costs no more than looking through it
                self._few.drop(data.count(b"\n", start))
                start = data.rfind(b"\n") + 1
                self._line.clear()
                self._is_cut = False
                break
            self._extend(data[start:end])
            self._finish()
            start = end + 1
        self._extend(data[start:])

    def connection_lost(self, _: Exception | None) -> None:
        """Log what came without a line's end."""
        if self._line:
            self._finish()

    def _spend(self, count: int) -> None:
        if self._left == BYTES:
            self._later(1, self._renew)
        self._left -= count
        if self._left <= 0:
            self._pipe.pause_reading()

    def _renew(self) -> None:
        is_paused = self._left <= 0
        self._left = BYTES
        if is_paused and not self._pipe.is_closing():
            self._pipe.resume_reading()

    def _extend(self, data: bytes) -> None:
        room = LONGEST - len(self._line)
        self._line += data[:room]
        self._is_cut |= len(data) > room

    def _finish(self) -> None:
        line, is_cut = bytes(self._line), self._is_cut
        self._line.clear()
        self._is_cut = False
        if not self._few.admits() or not line.strip():
            return
        level, message, told = _record(line)
        more = {"cut": True} if is_cut else {}
        log.log(level, message, extra={**told, **more, **self._facts})

    def _say_how_many(self, dropped: int) -> None:
        log.warning("further lines left out", extra={"lines": dropped, **self._facts})


def _record(line: bytes) -> tuple[int, str, dict[str, Any]]:
    """Level, message and further facts of a line: as it says itself where it is a log's (log.py),
    else the line is the message."""
    try:
        record = msgspec.json.decode(line, type=dict[str, object])
        level, message = record["level"], record["message"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, RecursionError):
        return logging.INFO, line.decode(errors="replace").rstrip("\r"), {}
    if level not in _LEVELS or not isinstance(message, str):
        return logging.INFO, line.decode(errors="replace"), {}
    told = {key: value for key, value in record.items() if key not in _OURS}
    return getattr(logging, level), message, told
