"""Requests that arrive while a transaction runs go together into the next one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

logger = logging.getLogger(__name__)

REST = 1.0
"""Seconds after a failure in which MLflow does all: it may be the database's."""

Asked = TypeVar("Asked")
Done = TypeVar("Done", covariant=True)
AskedOf = TypeVar("AskedOf", contravariant=True)


class Store(Protocol[AskedOf, Done]):
    """A connection to the database. One thread uses it."""

    def do(self, items: Sequence[AskedOf]) -> Sequence[Done | None]:
        """Do them in one transaction, in their order; for each, what came of it, None where
        nothing has happened. May raise anything, having done all or nothing of them: doing the
        same again changes nothing."""

    @property
    def close(self) -> Callable[[], None]:
        """Lets go of the database, whatever state it is in; nothing is done after that."""


class Group(Generic[Asked, Done]):
    """Threads of this process, each with a store of its own, that do what waits."""

    def __init__(
        self, open_store: Callable[[], Store[Asked, Done]], most: int, threads: int = 1
    ) -> None:
        """most: items that a thread does together."""
        self._open_store = open_store
        self._most = most
        self._threads = threads
        self._waiting: queue.SimpleQueue[tuple[Asked, asyncio.Future[Done | None]]] = (
            queue.SimpleQueue()
        )
        self._started = False

    async def do(self, item: Asked) -> Done | None:
        """What came of it; None if nothing has happened, or what MLflow will do again."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Done | None] = loop.create_future()
        if not self._started:  # in the process that answers, not in the one it is forked from
            self._started = True
            for _ in range(self._threads):
                threading.Thread(target=self._work, args=(loop,), daemon=True).start()
        self._waiting.put((item, done))
        return await done

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        store: Store[Asked, Done] | None = None
        begins = 0.0
        while True:
            group = [self._waiting.get()]
            while len(group) < self._most and not self._waiting.empty():
                with contextlib.suppress(queue.Empty):  # another thread may have taken it
                    group.append(self._waiting.get_nowait())
            answers: Sequence[Done | None] = [None] * len(group)
            if time.monotonic() >= begins:
                try:
                    store = store or self._open_store()
                    answers = store.do([item for item, _ in group])
                except Exception as error:  # whose words may hold what clients sent
                    name = type(error).__name__
                    logger.warning("MLflow does what the fast path cannot: %s", name)
                    begins = time.monotonic() + REST
                    with contextlib.suppress(Exception):
                        if store:
                            store.close()
                    store = None
            loop.call_soon_threadsafe(_tell, [done for _, done in group], answers)


def _tell(waiting: Sequence[asyncio.Future[Done | None]], answers: Sequence[Done | None]) -> None:
    for done, answer in zip(waiting, answers, strict=True):
        if not done.done():  # its client may have left
            done.set_result(answer)
