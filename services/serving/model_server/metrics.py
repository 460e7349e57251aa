"""Prometheus metrics, by model version.

What is counted for every request is counted in plain lists, and turned into Prometheus' terms only
when somebody asks: the client library's own histogram costs as much as parsing the request.
"""

from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from shutil import disk_usage
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from model_server.processes.wire import Batch

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.encode()
VERSION = ("model", "version")
SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 10.0, 60.0),
)
SIZES = tuple(float(2**power) for power in range(11))
STAGES = ("queue", "read", "predict", "write", "total")
FAILURES = ("fetch", "load")
SHADOW = ("agrees", "differs", "failed", "skipped")

registry = CollectorRegistry()

LOAD_FAILURES = Counter(
    "model_server_load_failures",
    "Versions that could not be fetched or loaded",
    ("model", "stage"),
    registry=registry,
)
REGISTRY_UP = Gauge(
    "model_server_registry_up", "1 when the last look at the registry worked", registry=registry
)
REGISTRY_ANSWERED = Gauge(
    "model_server_registry_answered_timestamp_seconds",
    "When the registry last answered, or else the server began to ask; NaN while it is not asked",
    registry=registry,
)
REGISTRY_ANSWERED.set(float("nan"))
BUFFERED = Gauge("model_server_buffered_bytes", "Bytes of request bodies held", registry=registry)
CONNECTIONS = Gauge("model_server_connections", "Open client connections", registry=registry)


class Buckets:
    """A histogram: counts of observations up to each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add(self, other: "Buckets") -> None:
        """Take in what another with the same bounds has counted."""
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        self._sum += other._sum

    def cumulated(self) -> tuple[list[tuple[str, float]], float]:
        """The form of Prometheus: (upper bound, observations up to it), and the sum."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
        return buckets, self._sum


class VersionMetrics:
    """The series of one version, from its start to `close`."""

    def __init__(self, model: str, version: str) -> None:
        self.labels = (model, version)
        self.statuses: Counts[int] = Counts()
        self.stages = {stage: Buckets(SECONDS) for stage in STAGES}
        self.queued = self.stages["queue"]
        self.total = self.stages["total"]
        self.frames = Buckets(SIZES)
        self.batches = Buckets(SIZES)
        self.restarts = 0
        self.shadow: Counts[str] = Counts()
        self.waiting: Callable[[], int] = int
        """How many requests are queued now."""
        self.workers: Callable[[], int] = int
        """How many worker processes are up now."""
        self.is_served = False
        _alive.append(self)

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer and its seconds."""
        self.statuses[status] += 1
        self.total.observe(seconds)

    def predicted(self, batch: Batch) -> None:
        """One prediction of a worker."""
        self.stages["read"].observe(batch.read)
        self.stages["predict"].observe(batch.predict)
        self.stages["write"].observe(batch.write)
        self.batches.observe(batch.rows or batch.requests)

    def close(self) -> None:
        """The version is gone, and so are its series. To be called last."""
        if self in _alive:
            _alive.remove(self)


_alive: list[VersionMetrics] = []


class _Versions:
    """All versions' series. Two have the same labels while one made anew under the same number
    replaces another: they are added up."""

    def collect(self) -> Iterable[Metric]:
        groups: dict[tuple[str, str], list[VersionMetrics]] = defaultdict(list)
        for metrics in _alive.copy():  # we are in a thread, and versions end meanwhile
            groups[metrics.labels].append(metrics)
        requests = CounterMetricFamily(
            "model_server_requests", "Answers given, by status", labels=(*VERSION, "status")
        )
        stages = HistogramMetricFamily(
            "model_server_stage_seconds",
            "Seconds by stage: queue and total of a request; read, predict, write of a batch",
            labels=(*VERSION, "stage"),
        )
        frames = HistogramMetricFamily(
            "model_server_frame_requests",
            "Requests that a worker was given at once",
            labels=VERSION,
        )
        rows = HistogramMetricFamily(
            "model_server_batch_rows", "Rows that were predicted at once", labels=VERSION
        )
        queue = GaugeMetricFamily("model_server_queue_requests", "Requests waiting", labels=VERSION)
        workers = GaugeMetricFamily(
            "model_server_workers", "Worker processes; 0 while the model sleeps", labels=VERSION
        )
        served = GaugeMetricFamily(
            "model_server_served_info", "1 for each version served", labels=VERSION
        )
        restarts = CounterMetricFamily(
            "model_server_worker_restarts", "Workers that died or hung", labels=VERSION
        )
        shadow = CounterMetricFamily(
            "model_server_shadow_requests",
            "Requests mirrored to this version, by how its answer compares",
            labels=(*VERSION, "result"),
        )
        for labels, group in groups.items():
            for status, count in sorted(_sum(one.statuses for one in group).items()):
                requests.add_metric((*labels, str(status)), count)
            for result, count in sorted(_sum(one.shadow for one in group).items()):
                shadow.add_metric((*labels, result), count)
            for stage in STAGES:
                _add(stages, (*labels, stage), [one.stages[stage] for one in group])
            _add(frames, labels, [one.frames for one in group])
            _add(rows, labels, [one.batches for one in group])
            queue.add_metric(labels, sum(one.waiting() for one in group))
            workers.add_metric(labels, sum(one.workers() for one in group))
            restarts.add_metric(labels, sum(one.restarts for one in group))
            if any(one.is_served for one in group):
                served.add_metric(labels, 1)
        return [requests, stages, frames, rows, queue, workers, served, restarts, shadow]


Key = TypeVar("Key")


def _sum(counts: Iterable[Counts[Key]]) -> Counts[Key]:
    total: Counts[Key] = Counts()
    for one in counts:
        total.update(dict(one))  # a copy: the event loop goes on counting meanwhile
    return total


def _add(family: HistogramMetricFamily, labels: Sequence[str], parts: list[Buckets]) -> None:
    total = Buckets(parts[0]._bounds)
    for part in parts:
        total.add(part)
    buckets, seconds = total.cumulated()
    if buckets[-1][1]:
        family.add_metric(labels, buckets, seconds)


registry.register(_Versions())
ProcessCollector("model_server", registry=registry)


class State:
    """How a server is now: what it should serve, whether it is ready, the room for its cache."""

    def __init__(
        self, wanted: Callable[[], list[tuple[str, str]]], ready: Callable[[], bool], cache: Path
    ) -> None:
        self._wanted = wanted
        self._ready = ready
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        """Gauges of what is, made when they are asked for."""
        wanted = GaugeMetricFamily(
            "model_server_wanted_info", "1 for each version to be served", labels=VERSION
        )
        for labels in self._wanted():
            wanted.add_metric(labels, 1)
        disk = disk_usage(self._cache)
        return [
            wanted,
            GaugeMetricFamily("model_server_ready", "1 while /readyz says so", self._ready()),
            GaugeMetricFamily(
                "model_server_cache_size_bytes", "Disk that the cache lies on", disk.total
            ),
            GaugeMetricFamily(
                "model_server_cache_free_bytes", "Room on the cache's disk", disk.free
            ),
        ]


def forget_failures(model: str) -> None:
    """The name is gone, and so are its series."""
    for stage in FAILURES:
        LOAD_FAILURES.remove(model, stage)


def page() -> bytes:
    """All metrics, as Prometheus reads them."""
    return generate_latest(registry)
