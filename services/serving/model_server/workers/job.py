"""One request on its way through a version: queued, given to a worker, answered once."""

from collections.abc import Callable
from typing import NamedTuple

from model_server import errors
from model_server.errors import RefusedError
from model_server.workers.wire import MLFLOW, Request

Done = Callable[["Job", int, bytes, RefusedError | None], None]
"""Gets the status and body of the answer; the refusal as well where there was no answer."""


class Question(NamedTuple):
    """What a version is asked."""

    body: bytes
    content_type: str | None
    request_id: str
    protocol: str = MLFLOW
    trace: str | None = None
    """The W3C trace id that it came with."""


class Job:
    __slots__ = ("context", "done", "given", "is_done", "is_suspect", "request", "since")

    def __init__(self, request: Request, since: float, done: Done, context: object) -> None:
        self.request = request
        self.since = since
        """By time.perf_counter()."""
        self.done = done
        self.context = context
        """The asker's own."""
        self.is_done = False
        self.given = 0.0
        """When a worker got it, by time.monotonic()."""
        self.is_suspect = False
        """Whether a worker died that had it, and others with it: it is asked again, alone."""

    def finish(self, status: int, body: bytes) -> None:
        """A second call, after a time limit say, does nothing."""
        if not self.is_done:
            self.is_done = True
            self.done(self, status, body, None)

    def refuse(self, refusal: RefusedError) -> None:
        if not self.is_done:
            self.is_done = True
            self.done(self, refusal.status, refusal.body, refusal)

    def lose(self) -> None:
        self.refuse(errors.unavailable("The model's worker process ended before it answered."))
