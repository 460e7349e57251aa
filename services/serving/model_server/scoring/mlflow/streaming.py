"""Answers as server-sent events, from a model's `predict_stream`.

Asked for by `"stream": true` beside the input in a body of JSON, of a model that has a
`predict_stream` of its own: a ResponsesAgent, ChatAgent, ChatModel, or PythonModel. All others
are asked as without it, as by `mlflow models serve`, which never streams.

The form is that of MLflow's agent server, mlflow.genai.agent_server.server.AgentServer._generate
and validator.BaseAgentValidator (3.17): `data: JSON` and an empty line for each event, and
`data: [DONE]` after the last. What is raised in the middle becomes `data: {"error": ...}`, then
the end; before the first event, it is the answer that it would be without a stream.
"""

from __future__ import annotations

import inspect
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass

from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.model import PythonModel
from mlflow.utils.proto_json_utils import NumpyEncoder
from pydantic import BaseModel

from model_server.errors import LAST_EVENT, too_late
from model_server.processes import wire
from model_server.processes.wire import Answer, Batch, Reply, Request
from model_server.scoring import raised
from model_server.scoring.mlflow.reader import NO_EVENT, MlflowReader

log = logging.getLogger(__name__)

Refuse = Callable[[Request, BaseException], Answer]


def can_stream(model: PyFuncModel) -> bool:
    """Whether it has a `predict_stream` that is not the one of MLflow's classes, which raises."""
    if getattr(model, "_predict_stream_fn", None) is None:
        return False
    try:
        raw = model.get_raw_model()
    except (MlflowException, NotImplementedError):
        return True
    if not isinstance(raw, PythonModel):
        return True  # a flavor's, which says that it can
    return bool(inspect.unwrap(type(raw).predict_stream).__module__ != PythonModel.__module__)


class Streams:
    """All of one model that run now. `steer` and `cancel_all` may be called by any thread."""

    def __init__(self, reader: MlflowReader, refused: Refuse) -> None:
        """`refused` makes the answer to a request of what was raised for it."""
        self._reader = reader
        self._refused = refused
        self._running: dict[int, _Course] = {}

    def takes(self, request: Request) -> bool:
        """Whether a request asks for a stream."""
        return request.protocol == wire.MLFLOW and self._reader.may_stream(request)

    def steer(self, steer: wire.Steer) -> None:
        """Cancel, pause or resume one stream."""
        if course := self._running.get(steer.number):  # else it has ended meanwhile
            course.take(steer.how)

    def cancel_all(self) -> None:
        """Let every generator come to its end where it next yields."""
        for course in list(self._running.values()):
            course.take(wire.CANCEL)

    def replies(self, request: Request) -> Iterator[Reply]:
        """One a part, each as soon as it is there. The thread that iterates runs the model's
        generator, and closes it."""
        started = time.perf_counter()
        course = self._running[request.number] = _Course()
        events: Iterator[object] = iter(())
        part: bytes | Answer | None
        try:
            part, events = self._first(request)
            while isinstance(part, bytes) and course.goes_on():
                yield Reply([Answer(request.number, 200, part, more=True)])
                part = self._next(request, events) if course.goes_on() else None
        finally:
            del self._running[request.number]
            _close(events, request)
        last = part if isinstance(part, Answer) else Answer(request.number, 200, LAST_EVENT)
        yield Reply([last], [Batch(1, 0, 0.0, time.perf_counter() - started, 0.0)])

    def _first(self, request: Request) -> tuple[bytes | Answer, Iterator[object]]:
        """The first part, or an answer that is none of a stream; and the other events."""
        try:
            if time.monotonic() > request.deadline:
                raise too_late()
            event, events = self._reader.stream(request)
        except Exception as error:
            return self._refused(request, error), iter(())
        except BaseException as error:
            return self._raised(request, error), iter(())
        if event is NO_EVENT:
            return b"", events
        return self._written(request, event), events

    def _next(self, request: Request, events: Iterator[object]) -> bytes | Answer | None:
        """The next part; None after the last; an answer that says what went wrong."""
        try:
            event = next(events, NO_EVENT)
        except BaseException as error:
            return self._raised(request, error)
        return None if event is NO_EVENT else self._written(request, event)

    def _written(self, request: Request, event: object) -> bytes | Answer:
        try:
            return written(event)
        except BaseException as error:
            return self._refused(request, raised.unwritable(event, error, request))

    def _raised(self, request: Request, error: BaseException) -> Answer:
        """The answer to what the model raised."""
        return self._refused(request, self._reader.failure(error, request))


class _Course:
    """What a stream was told last."""

    def __init__(self) -> None:
        self._may_move = threading.Event()
        self._may_move.set()
        self._is_cancelled = False

    def take(self, how: str) -> None:
        """Heed what is said of the stream: wire.CANCEL, PAUSE or RESUME."""
        if how == wire.CANCEL:
            self._is_cancelled = True
        if how == wire.PAUSE and not self._is_cancelled:
            self._may_move.clear()
        else:
            self._may_move.set()

    def goes_on(self) -> bool:
        """Waits while it is paused. False: it was cancelled."""
        self._may_move.wait()
        return not self._is_cancelled


def written(event: object) -> bytes:
    """One event. Raises TypeError for what JSON has no form for."""
    if isinstance(event, BaseModel):
        event = event.model_dump(exclude_none=True)
    elif is_dataclass(event) and not isinstance(event, type):
        event = asdict(event)
    return b"data: %b\n\n" % json.dumps(event, cls=NumpyEncoder).encode()


def _close(events: Iterator[object], request: Request) -> None:
    """Let the model's code come to its end, where it has not: its `finally` runs."""
    try:
        if close := getattr(events, "close", None):
            close()
    except BaseException:
        extra = {"request_id": request.request_id, "trace_id": request.trace}
        log.warning("closing a stream failed", exc_info=True, extra=extra)
