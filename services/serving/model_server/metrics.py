"""Prometheus metrics, by model version. Process-wide, as the client library has it."""

from collections import Counter as Counts
from functools import cached_property

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.encode()
VERSION = ("model", "version")
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)

registry = CollectorRegistry()

REQUESTS = Counter(
    "model_server_requests", "Answers given, by status", (*VERSION, "status"), registry=registry
)
STAGES = Histogram(
    "model_server_stage_seconds",
    "Seconds of a request by stage: queue, predict (read, predict, write), total",
    (*VERSION, "stage"),
    buckets=FAST,
    registry=registry,
)
FRAMES = Histogram(
    "model_server_frame_requests",
    "Requests that a worker was given at once",
    VERSION,
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
    registry=registry,
)
QUEUE = Gauge("model_server_queue_requests", "Requests waiting", VERSION, registry=registry)
SERVED = Gauge("model_server_served_info", "1 for each version served", VERSION, registry=registry)
LOAD_FAILURES = Counter(
    "model_server_load_failures",
    "Versions that could not be fetched or loaded",
    ("model", "stage"),
    registry=registry,
)
RESTARTS = Counter(
    "model_server_worker_restarts", "Workers that died or hung", VERSION, registry=registry
)
REGISTRY_UP = Gauge(
    "model_server_registry_up", "1 when the last look at the registry worked", registry=registry
)
BUFFERED = Gauge("model_server_buffered_bytes", "Bytes of request bodies held", registry=registry)


_alive: Counts[tuple[str, str]] = Counts()
"""How many versions have the same labels: one made anew under the same number has them, while the
one it replaces still drains."""


class VersionMetrics:
    """The series of one version. Each begins with its first value, and is looked up once."""

    def __init__(self, model: str, version: str) -> None:
        self._labels = (model, version)
        self._statuses: dict[int, Counter] = {}
        _alive[self._labels] += 1

    @cached_property
    def queued(self) -> Histogram:
        return STAGES.labels(*self._labels, "queue")

    @cached_property
    def predicted(self) -> Histogram:
        return STAGES.labels(*self._labels, "predict")

    @cached_property
    def total(self) -> Histogram:
        return STAGES.labels(*self._labels, "total")

    @cached_property
    def frames(self) -> Histogram:
        return FRAMES.labels(*self._labels)

    @cached_property
    def queue(self) -> Gauge:
        return QUEUE.labels(*self._labels)

    @cached_property
    def restarts(self) -> Counter:
        return RESTARTS.labels(*self._labels)

    def answered(self, status: int) -> None:
        counter = self._statuses.get(status)
        if counter is None:
            counter = self._statuses[status] = REQUESTS.labels(*self._labels, str(status))
        counter.inc()

    def served(self, now: bool) -> None:
        if now:
            SERVED.labels(*self._labels).set(1)
        else:
            SERVED.remove(*self._labels)

    def close(self) -> None:
        """The version is gone: so are its series, unless another has the same. To be called
        once, last."""
        _alive[self._labels] -= 1
        if _alive[self._labels]:
            return
        del _alive[self._labels]
        for metric in (REQUESTS, STAGES, FRAMES, QUEUE, SERVED, RESTARTS):
            metric.remove_by_labels(dict(zip(VERSION, self._labels, strict=True)))


def page() -> bytes:
    return generate_latest(registry)
