"""The log's line for each request that was refused or failed, found by its request id."""

import asyncio
import logging

import msgspec

from model_server.errors import bounded
from model_server.front.exchange import Exchange

log = logging.getLogger(__name__)

A_SECOND = 10
"""Lines; an overload refuses thousands of requests a second, and must not fill the disk too."""
TEXT_LIMIT = 300
"""Characters of a reason or a path."""


def is_noted(status: int) -> bool:
    """Faults and limits. Other 4xx are the client's own, who has been told."""
    return status >= 500 or status in (408, 413, 429)


class _Error(msgspec.Struct):
    error_code: str
    message: str


class Refusals:
    def __init__(self) -> None:
        self._left = A_SECOND
        self._dropped = 0

    def note(self, exchange: Exchange, status: int, body: bytes) -> None:
        if self._left == 0:
            self._dropped += 1
            return
        if self._left == A_SECOND:
            asyncio.get_running_loop().call_later(1, self._renew)
        self._left -= 1
        try:
            error = msgspec.json.decode(body, type=_Error)
        except msgspec.DecodeError:  # an answer of its own kind
            error = _Error("", body[:TEXT_LIMIT].decode(errors="replace"))
        log.warning(
            "request refused",
            extra={
                "request_id": exchange.request_id,
                "trace_id": exchange.trace_id,
                "path": bounded(exchange.url.decode("latin-1"), TEXT_LIMIT),
                "model": exchange.model,
                "status": status,
                "error_code": error.error_code,
                "reason": bounded(error.message, TEXT_LIMIT),
            },
        )

    def _renew(self) -> None:
        if self._dropped:
            log.warning("more requests refused", extra={"count": self._dropped})
        self._left = A_SECOND
        self._dropped = 0
