"""The backend store of the settings, and patience with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tracking_server.errors import RefusedError, UnreachableError
from tracking_server.settings import POSTGRES, PREFIX, Settings

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 5
RETRY_SECONDS = 0.5
VERSIONS, VERSIONS_OF_LOGINS = "alembic_version", "alembic_version_auth"
"""The tables that hold a schema's revision."""

T = TypeVar("T")


def open_store(settings: Settings):
    """The backend store: `Postgres` or `Sqlite`, which have the same methods."""
    return _open(settings, "backend_store", VERSIONS)


def open_logins(settings: Settings):
    """The same for the database of users."""
    return _open(settings, "logins", VERSIONS_OF_LOGINS)


def _open(settings: Settings, field: str, versions: str):
    url = getattr(settings, field)
    if url.startswith(POSTGRES):
        from tracking_server.postgres import Postgres

        return Postgres(url, settings.secrets, versions, f"{PREFIX}{field.upper()}")
    from tracking_server.sqlite import Sqlite

    return Sqlite(url, versions)


class Progress:
    """Says something at once and then every few seconds, as long as it is called."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._started = time.monotonic()
        self._next = 0.0

    def __call__(self, detail: str = "") -> None:
        elapsed = time.monotonic() - self._started
        if elapsed >= self._next:
            logger.warning("%s (%.0f s)%s", self._text, elapsed, detail and f": {detail}")
            self._next = elapsed + PROGRESS_SECONDS


def patiently(ask: Callable[[], T], patience: float, store: str = "backend store") -> T:
    """What `ask` returns, asked again while `store` is unreachable, for `patience` seconds.

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
