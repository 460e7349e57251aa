"""Shadow traffic: what a version is asked, the version that may follow it is asked too.

Its answers reach nobody. Whether they agree is counted, by the shadow's own metrics, which hold
its latency as well. A shadow that cannot keep up is asked less: it never slows what is served
beyond the processor time that it takes.
"""

import math
import re
import time

import msgspec

from model_server.errors import RefusedError
from model_server.models.job import Job
from model_server.models.version import Version
from model_server.processes.wire import Request

BEHIND = 64
"""Requests that may wait for the shadow; more are not mirrored."""
RELATIVE = 1e-9
"""Floats this close agree: two fits of one model differ in their last digits."""
COMPARED = 2**20
"""Bytes of an answer that is parsed to compare it; a longer one agrees only with the same bytes.
Comparing takes time from the requests that are served."""
NAMES = {"model_name", "model_version"}
"""Keys of a V2 answer that tell who gave it."""

_STREAMS = re.compile(rb'"stream"\s*:\s*true')
"""A mark of requests for a stream, which are not mirrored: events cannot be compared."""


class Comparison:
    """Counts, once both versions have answered."""

    def __init__(self, shadow: Version) -> None:
        self._shadow = shadow
        self._first: tuple[int, bytes] | None = None
        self._second: tuple[int, bytes] | None = None

    def first(self, status: int, body: bytes) -> None:
        """What is served has answered."""
        self._first = (status, body)
        self._compare()

    def second(self, job: Job, status: int, body: bytes, refusal: RefusedError | None) -> None:
        """The shadow has answered."""
        self._shadow.metrics.answered(status, time.perf_counter() - job.since)
        if refusal is not None or status >= 500:
            self._shadow.metrics.shadow["failed"] += 1
            return
        self._second = (status, body)
        self._compare()

    def _compare(self) -> None:
        if self._first is None or self._second is None:
            return
        (status, body), (other_status, other_body) = self._first, self._second
        same = status == other_status and (
            body == other_body or status != 200 or _say_the_same(body, other_body)
        )
        self._shadow.metrics.shadow["agrees" if same else "differs"] += 1


def ask(shadow: Version | None, request: Request) -> Comparison | None:
    """Mirror a request. None: there is nothing to compare with."""
    if shadow is None:
        return None
    if shadow.metrics.waiting() >= BEHIND or _STREAMS.search(request.body):
        shadow.metrics.shadow["skipped"] += 1
        return None
    comparison = Comparison(shadow)
    try:
        shadow.submit(msgspec.structs.replace(request), comparison.second)
    except RefusedError:
        shadow.metrics.shadow["failed"] += 1
        return None
    return comparison


def agree(one: object, other: object) -> bool:
    """Whether two parsed answers say the same. What names the version does not count."""
    if isinstance(one, dict) and isinstance(other, dict):
        ours, theirs = one.keys() - NAMES, other.keys() - NAMES
        return ours == theirs and all(agree(one[key], other[key]) for key in ours)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=RELATIVE)
    return type(one) is type(other) and one == other


def _say_the_same(one: bytes, other: bytes) -> bool:
    if max(len(one), len(other)) > COMPARED:
        return False
    try:
        return agree(_parsed(one), _parsed(other))
    except RecursionError:
        return False  # lists in lists, deeper than anybody's predictions


def _parsed(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body  # MLflow writes NaN, which is no JSON: only the same text agrees
