"""How often MLflow's client tries again, by thread: urllib3 tells only its log."""

from __future__ import annotations

import logging
import threading


class Retries(logging.Handler):
    """Counts from `install` to `remove`."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._counts = threading.local()
        self._logger = logging.getLogger("urllib3.connectionpool")
        self._before = (self._logger.level, self._logger.propagate)

    def install(self) -> None:
        self._before = (self._logger.level, self._logger.propagate)
        self._logger.setLevel(logging.DEBUG)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def remove(self) -> None:
        self._logger.removeHandler(self)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith(("Retry", "Retrying")):
            self._counts.count = self.of_this_thread() + 1

    def of_this_thread(self) -> int:
        return getattr(self._counts, "count", 0)
