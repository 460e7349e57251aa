"""JSON lines on stderr. The time is the record's own; good requests leave no line."""

import logging
import logging.config
import threading
from collections.abc import Callable

A_SECOND = 10
"""Lines of one kind; an overload brings thousands a second, and must not fill the disk too."""

FORMATTER = "pythonjsonlogger.json.JsonFormatter"


def configure(level: str) -> None:
    """Same for the HTTP process and every child, so a worker's lines look like the server's."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": FORMATTER,
                    "format": "%(levelname)s %(name)s %(message)s",
                    "rename_fields": {"levelname": "level", "name": "logger"},
                    "timestamp": True,
                }
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "json",
                }
            },
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            "loggers": {
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "mlflow": {"handlers": [], "propagate": True},
            },
        }
    )
    logging.captureWarnings(True)


class Few:
    """Lets through so many lines a second, and then says how many more there were."""

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], object],
        say: Callable[[int], None],
        most: int = A_SECOND,
    ) -> None:
        """`later` calls after so many seconds; `say` is given the number of the others."""
        self._later = later
        self._say = say
        self._lock = threading.Lock()
        self._most = self._left = most
        self._dropped = 0

    @property
    def is_full(self) -> bool:
        """Whether the next one is left out."""
        return self._left == 0

    def drop(self, count: int) -> None:
        """Count so many as not let through."""
        with self._lock:
            self._dropped += count

    def admits(self) -> bool:
        """Count one; whether it may pass."""
        with self._lock:
            if self._left == 0:
                self._dropped += 1
                return False
            begins = self._left == self._most
            self._left -= 1
        if begins:
            self._later(1, self._renew)
        return True

    def _renew(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            self._left = self._most
        if dropped:
            self._say(dropped)
