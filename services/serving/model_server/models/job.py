"""One request on its way through a version: queued, given to a worker, answered once."""

import time
from collections.abc import Callable
from typing import Any

from model_server import errors
from model_server.errors import RefusedError
from model_server.processes.wire import CANCEL, PAUSE, RESUME, Request

Done = Callable[["Job", int, bytes, RefusedError | None], None]
"""Gets the status and body of the answer; the refusal as well where there was no answer."""
Part = Callable[["Job", bytes], None]
"""Gets a part of a streamed answer; the last one goes to Done."""
Steering = Callable[[int, str], None]
"""Gets a request's number, and one of wire.CANCEL, PAUSE and RESUME."""

CLIENT_GONE = 499
"""What nginx counts where a client closes before it has its answer."""


class Job:
    """One request in a version's queue or in a worker, until it is answered."""

    __slots__ = (
        *("ahead", "context", "deadline", "done", "is_cancelled", "is_done", "is_paused"),
        *("is_suspect", "part", "request", "sent", "since", "steer"),
    )

    def __init__(
        self,
        request: Request,
        since: float,
        done: Done,
        context: Any,
        part: Part | None = None,
    ) -> None:
        self.request = request
        self.since = since
        """When it was queued, by time.perf_counter()."""
        self.done = done
        self.context = context
        """The asker's own."""
        self.is_done = False
        self.sent = 0.0
        """When a worker got it, by time.monotonic()."""
        self.is_suspect = False
        """Whether a worker died that had it, and others with it: it is asked again, alone."""
        self.part = part
        """Where the parts of a streamed answer go; None: nobody wants them."""
        self.deadline = request.deadline
        """The time for the answer, or the next part of it."""
        self.is_paused = False
        self.is_cancelled = False
        self.ahead = 0
        """Bytes that have come since it was told to pause or to stop."""
        self.steer: Steering | None = None
        """How to reach the worker that streams the answer, once its first part is here."""

    def take(self, body: bytes, deadline: float, steer: Steering) -> None:
        """A part of the answer; the next one is due at `deadline`."""
        self.steer = steer
        self.is_suspect = False  # it has begun to answer: others may be asked beside it
        if self.is_paused or self.is_cancelled:
            self.ahead += len(body)
        if self.is_done or self.part is None:
            self._cancel()
            return
        if not self.is_paused:
            self.deadline = deadline
        self.part(self, body)

    def pause(self) -> None:
        """Pause it for its client's sake, which has its own time limit."""
        if self.is_done or self.steer is None:
            return
        self.is_paused = True
        self.ahead = 0
        self.deadline = float("inf")
        self.steer(self.request.number, PAUSE)

    def resume(self, seconds: float) -> None:
        """The next part is due in so many `seconds`."""
        if self.is_done or self.steer is None:
            return
        self.is_paused = False
        self.deadline = time.monotonic() + seconds
        self.steer(self.request.number, RESUME)

    def abandon(self) -> None:
        """Its client is gone, in the middle of a stream."""
        if not self.is_done:
            self.is_done = True
            self._cancel()
            self.done(self, CLIENT_GONE, b"", None)

    def finish(self, status: int, body: bytes) -> None:
        """A second call, after a time limit say, does nothing."""
        if not self.is_done:
            self.is_done = True
            self.done(self, status, body, None)

    def refuse(self, refusal: RefusedError) -> None:
        """Answer with a refusal."""
        if not self.is_done:
            self.is_done = True
            if self.steer is not None:
                self._cancel()
            self.done(self, refusal.status, refusal.body, refusal)

    def lose(self) -> None:
        """Refuse it because its worker ended."""
        self.refuse(errors.unavailable("The model's worker process ended before it answered."))

    def _cancel(self) -> None:
        self.is_paused = False
        # Once: a worker that does not listen would be told without end.
        if self.steer is not None and not self.is_cancelled:
            self.is_cancelled = True
            self.ahead = 0
            self.steer(self.request.number, CANCEL)
