"""A trial in a process of its own: trials run at once, and one that crashes is one that failed.

scikit-learn holds Python's lock for most of a small fit, so that threads gain nothing here, while
two processes on two cores take little more than half of the time. They are forked by a server
that has imported scikit-learn already, which makes a process a matter of a tenth of a second.
"""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection

from common.errors import first_line

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["click", "pandas", "sklearn.compose", "sklearn.svm"])


def prepare() -> None:
    """Start the server that forks, which imports while the caller goes on. It and what it forks
    ignore Ctrl-C from their first moment."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


class TrialProcess:
    """Calls `function(*arguments)`, which gives the scores (folds,), in a new process."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.connection, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_work, args=(theirs, function, arguments))
        self._started = time.monotonic()
        self._process.start()
        theirs.close()

    def outcome(self) -> tuple[list[float] | str, float]:
        """The scores, or why there are none, and seconds; to be called once `connection` is
        ready."""
        try:
            outcome = self.connection.recv()
        except EOFError:
            self._process.join()
            outcome = f"the trial's process ended with status {self._process.exitcode}"
        seconds = time.monotonic() - self._started
        self._process.join()
        self.connection.close()
        return outcome, seconds

    def stop(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(connection: Connection, function: object, arguments: tuple) -> None:
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_search, args=(connection,), daemon=True).start()
    try:
        with threadpool_limits(1):  # the other cores have trials of their own
            outcome = function(*arguments)
    except Exception as error:  # recorded as the trial's failure
        outcome = f"{type(error).__name__}: {first_line(error)}"
    connection.send(outcome)


def _end_with_search(connection: Connection) -> None:
    """Nothing comes through the connection but its end, should the search be killed."""
    connection.poll(None)
    os._exit(1)
