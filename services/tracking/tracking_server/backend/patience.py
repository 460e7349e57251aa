"""Patience with a database or a storage that does not answer yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tracking_server.errors import RefusedError, UnreachableError

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 5
RETRY_SECONDS = 0.5

T = TypeVar("T")


class Progress:
    """Says something at once and then every few seconds, as long as it is called."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._started = time.monotonic()
        self._next = 0.0

    def __call__(self, detail: str = "") -> None:
        """Say it, if it is time."""
        elapsed = time.monotonic() - self._started
        if elapsed >= self._next:
            logger.warning("%s (%.0f s)%s", self._text, elapsed, detail and f": {detail}")
            self._next = elapsed + PROGRESS_SECONDS


def patiently(ask: Callable[[], T], patience: float, store: str = "backend store") -> T:
    """Return what `ask` does, asked again while `store` is unreachable, for `patience` seconds.

    Raises:
        RefusedError: it did not answer in time, or `ask` refused.
    """
    progress = Progress(f"waiting for the {store}")
    deadline = time.monotonic() + patience
    while True:
        try:
            return ask()
        except UnreachableError as error:
            if time.monotonic() >= deadline:
                raise RefusedError(
                    f"the {store} did not answer in {patience:g} s (TRACKING_PATIENCE): {error}"
                ) from None
            progress(str(error))
            time.sleep(RETRY_SECONDS)
