"""Two `make` at once: the second waits for what only one of them may do."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from host.user.terminal import step


@contextlib.contextmanager
def alone(module: str, what: str) -> Iterator[int]:
    """Hold off every other command of this checkout that does the same, saying so if it waits.

    module: the file of the host tools that is locked for it. what: completes "another command
    that". The system lets go of the lock when its holder ends, however that happens; a child that
    is handed the descriptor (yielded here) holds it too, and so outlives its parent in peace.
    """
    with Path(module).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"waiting for another command that {what}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()
