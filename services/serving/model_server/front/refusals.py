"""The log's line for each request that was refused or failed, found by its request id."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from model_server.errors import bounded
from model_server.front.exchange import Exchange
from model_server.log import Few

log = logging.getLogger(__name__)

TEXT_LIMIT = 300
"""Characters of a reason or a path."""


def is_noted(status: int) -> bool:
    """Faults and limits. Other 4xx are the client's own, who has been told."""
    return status >= 500 or status in (408, 413, 429)


class _Error(msgspec.Struct):
    error_code: str
    message: str


class Refusals:
    """Logs refusals, a few of each kind."""

    def __init__(self) -> None:
        self._few = Few(_later, _say_more)

    def note(self, exchange: Exchange, status: int, body: bytes) -> None:
        """Log it, unless many like it were logged."""
        if not self._few.admits():
            return
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


def _later(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


def _say_more(count: int) -> None:
    log.warning("more requests refused", extra={"count": count})
