"""Room for the bodies that a worker holds at one time, of all requests together."""

from __future__ import annotations

import asyncio
from collections import deque


class Room:
    """So many bytes, in the order of those who ask. One alone always gets what it asks for."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int, patience: float) -> bool:
        """Wait for that many bytes, which belong to the caller until `give`; whether they came
        within `patience` seconds."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append((size, mine))
        self._admit()
        try:
            async with asyncio.timeout(patience):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():
                self.give(size)
            else:
                self._admit()
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def give(self, size: int) -> None:
        """Give them back."""
        self._taken -= size
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            size, admitted = self._waiting[0]
            is_gone = admitted.cancelled()
            if not is_gone and self._taken and self._taken + size > self._size:
                return
            self._waiting.popleft()
            if not is_gone:
                self._taken += size
                admitted.set_result(None)
