"""Requests that arrive while a transaction runs go together into the next one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tracking_server.fast.plain import Log

logger = logging.getLogger(__name__)

MOST = 256
"""Requests in one transaction."""
REST = 1.0
"""Seconds after a failure in which MLflow writes all: it may be the database's."""


class Store(Protocol):
    """A database that requests are written to. One thread uses it."""

    def write(self, logs: Sequence[Log]) -> Sequence[bool]:
        """Write them in one transaction, in their order; for each, whether that is done and
        committed. Of one that is not, nothing is written. May raise anything, having written all
        or nothing of them: writing the same again changes nothing."""

    @property
    def close(self) -> Callable[[], None]:
        """Lets go of the database, whatever state it is in; nothing is written after that."""


class Writer:
    """A thread of this process's that writes for all requests."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._waiting: queue.SimpleQueue[tuple[Log, asyncio.Future[bool]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, log: Log) -> bool:
        """Whether it is committed; else nothing is written, or what MLflow will write again."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        if self._thread is None:  # in the process that answers, not in the one it is forked from
            self._thread = threading.Thread(
                target=self._work, args=(loop,), name="writer", daemon=True
            )
            self._thread.start()
        self._waiting.put((log, done))
        return await done

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        store: Store | None = None
        begins = 0.0
        while True:
            group = [self._waiting.get()]
            while len(group) < MOST and not self._waiting.empty():
                group.append(self._waiting.get())
            written: Sequence[bool] = [False] * len(group)
            if time.monotonic() >= begins:
                try:
                    store = store or self._open_store()
                    written = store.write([log for log, _ in group])
                except Exception as error:  # whose words may hold what clients sent
                    name = type(error).__name__
                    logger.warning("MLflow writes what the fast path cannot: %s", name)
                    begins = time.monotonic() + REST
                    with contextlib.suppress(Exception):
                        if store:
                            store.close()
                    store = None
            loop.call_soon_threadsafe(_tell, [done for _, done in group], written)


def _tell(waiting: Sequence[asyncio.Future[bool]], written: Sequence[bool]) -> None:
    for done, is_written in zip(waiting, written, strict=True):
        if not done.done():  # its client may have left
            done.set_result(is_written)


def without_contradictions(logs: Sequence[Log]) -> list[int]:
    """Places of those that give no parameter another value than one before them does."""
    values: dict[tuple[str, str], str] = {}
    places = []
    for place, log in enumerate(logs):
        if all(values.get((log.run, one.key), one.value) == one.value for one in log.params):
            values.update({(log.run, one.key): one.value for one in log.params})
            places.append(place)
    return places
