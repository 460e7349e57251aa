"""What is told of an exception that the model raised: to the client, and in the log.

Neither repeats what the client sent. The client gets the exception's type and words; the log gets
these with the stack, but of no more than a few requests a second.
"""

import itertools
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterator

from model_server.errors import MESSAGE_LIMIT, REASON_LIMIT, RefusedError, bounded, reason
from model_server.log import Few
from model_server.processes.wire import WARM_UP, Request
from model_server.scoring.sent import Sent, TooManyValuesError

log = logging.getLogger(__name__)

Place = tuple[object, ...]
"""Indices and names that lead from a request's input to a part of it."""

MAX_FIELDS = 5
"""Fields of a validation that are named."""
MAX_CHAIN = 8
"""Exceptions that one came of."""
_NO_FORM = re.compile(
    r"Object of type (?P<object>.+) is not JSON serializable|keys must be .*, not (?P<key>.+)"
)
"""Words of Python's json and, after it, scoring/v2/outputs.py."""


def mark(request: Request) -> str:
    """What an answer ends with, so that the log's line can be found."""
    return "" if request.number == WARM_UP else f" (request id {request.request_id})"


def clean(message: str, request: Request) -> str:
    """A message without values that the request brought. Raises TooManyValuesError."""
    return Sent(request).left_out_of(bounded(" ".join(message.split())))


def unwritable(result: object, error: BaseException, request: Request) -> RefusedError:
    """The answer where writing as JSON what the model returned raised `error`."""
    note("prediction failed", error, request)
    kind = type(result).__name__
    words = _NO_FORM.search(reason(error)) if isinstance(error, TypeError) else None
    if words is None:
        what = f"what JSON cannot hold, of type {kind} ({type(error).__name__})"
    elif words["key"]:
        what = f"{kind} with a key of type {words['key']} in it, which JSON cannot hold"
    elif words["object"] == kind:
        what = f"an object of type {kind}, which JSON cannot hold"
    else:
        what = f"{kind} with an object of type {words['object']} in it, which JSON cannot hold"
    return RefusedError(
        500,
        "INTERNAL_ERROR",
        f"The model returned {what}. Numbers, texts, lists, dicts, arrays, series and data frames "
        f"can be written{mark(request)}",
    )


def noted(message: str, error: BaseException, request: Request) -> str:
    """What is told of the exception: its type and words, without values that the request brought.
    Leaves a line in the log, as `note` does."""
    sent = _sent(request)
    if _few.admits():
        _log(logging.WARNING, message, error, request, sent)
    return _words(error, REASON_LIMIT) if request.number == WARM_UP else _told(error, sent)


def note(message: str, error: BaseException, request: Request) -> None:
    """A line with the stack, if there were not too many a moment ago."""
    if _few.admits():
        _log(logging.ERROR, message, error, request, _sent(request))


def _log(
    level: int, message: str, error: BaseException, request: Request, sent: Sent | None
) -> None:
    extra = {"request_id": request.request_id, "trace_id": request.trace}
    log.log(level, message, extra={**extra, "trace": _trace(error, sent)})


def _sent(request: Request) -> Sent | None:
    """None where only types of exceptions are told."""
    try:
        return Sent(request)
    except TooManyValuesError:
        return None


def _trace(error: BaseException, sent: Sent | None) -> str:
    """The trace as Python writes it, with the words of each exception as `_told` has them."""
    parts = [
        "".join([*traceback.format_tb(one.__traceback__), _told(one, sent)])
        for one in itertools.islice(_chain(error), MAX_CHAIN)
    ]
    return "\n\n".join(reversed(parts))


def fields(error: BaseException | None, path: Place = ()) -> str | None:
    """Each field below `path`, and what pydantic says is wrong with it; None for an exception that
    is not pydantic's."""
    is_pydantics = str(type(error).__module__).startswith("pydantic_core")
    errors = getattr(error, "errors", None) if is_pydantics else None
    if errors is None:
        return None
    details = errors(include_input=False, include_url=False, include_context=False)
    texts = [f"{place((*path, *one['loc']))}: {one['msg']}" for one in details[:MAX_FIELDS]]
    more = len(details) - len(texts)
    return "; ".join(texts) + (f"; and {more} more" if more else "")


def place(path: Place) -> str:
    """A path as people write it: `input[0].address.street`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(("input", *steps))


def _told(error: BaseException, sent: Sent | None) -> str:
    if sent is None:
        return type(error).__name__
    head, colon, tail = _words(error, MESSAGE_LIMIT).partition(": ")
    return bounded(head + colon + sent.left_out_of(tail), REASON_LIMIT)


def _words(error: BaseException, limit: int) -> str:
    try:
        texts = fields(error)
    except BaseException:  # not of this release, or code of the model's own
        texts = None
    return bounded(f"{type(error).__name__}: {texts}", limit) if texts else reason(error, limit)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """It, and what it came of; the last one raised comes first."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        # Not by its truth, which is code of its own.
        cause = one.__cause__
        one = one.__context__ if cause is None and not one.__suppress_context__ else cause


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _say_more(count: int) -> None:
    log.warning("more predictions failed", extra={"count": count})


_few = Few(_later, _say_more)
