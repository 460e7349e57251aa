"""GET /metrics, on a port of its own: what all workers counted, and how the server is now."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tracking_server.backend import schema
from tracking_server.metrics.counts import Counts
from tracking_server.readiness import Readiness
from tracking_server.settings import Settings

LAST_BACKUP = "last-backup.json"
"""Written by a backup that went well: {"finished": unix seconds, ...}."""


class MetricsPage:
    """An ASGI application. It answers any Host: who reaches its port may read it."""

    def __init__(self, settings: Settings, readiness: Readiness, counts: Counts) -> None:
        self._settings = settings
        self._readiness = readiness
        self._counts = counts
        self._schema = schema.installed().head
        # Its own, since long transfers of artifacts may hold every thread of the common pool.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET /metrics."""
        if scope["method"] != "GET" or scope["path"] != "/metrics":
            await PlainTextResponse("GET /metrics\n", 404)(scope, receive, send)
            return
        ready = await self._readiness.well()
        text = await asyncio.get_running_loop().run_in_executor(self._thread, self._text, ready)
        await Response(text, headers={"content-type": CONTENT_TYPE_LATEST})(scope, receive, send)

    def _text(self, ready: dict[str, bool]) -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._counts.path))
        registry.register(_Now(self._settings, self._schema, ready))
        with self._counts.locked():
            return generate_latest(registry)


class _Now:
    """What is not counted, but looked at."""

    def __init__(self, settings: Settings, head: str, ready: dict[str, bool]) -> None:
        self._settings = settings
        self._schema = head
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        from mlflow.version import VERSION

        info = GaugeMetricFamily(
            "tracking_info",
            "MLflow's version, and the schema it needs",
            labels=("mlflow", "schema"),
        )
        info.add_metric((VERSION, self._schema), 1)
        yield info
        up = GaugeMetricFamily(
            "tracking_dependency_up", "1 while it answers, as /readyz says", labels=("dependency",)
        )
        for name, well in self._ready.items():
            up.add_metric((name,), well)
        yield up
        yield from self._volumes()
        yield from _processes(psutil.Process(os.getppid()))
        if self._settings.backups and self._settings.backup_watched:
            yield GaugeMetricFamily(
                "stack_last_backup_timestamp_seconds",
                "When the last good backup was done; 0 where there is none",
                value=last_backup(self._settings.backups / LAST_BACKUP),
            )

    def _volumes(self) -> Iterator[Metric]:
        size = GaugeMetricFamily(
            "stack_volume_size_bytes", "Disk that a volume lies on", labels=("volume",)
        )
        free = GaugeMetricFamily(
            "stack_volume_free_bytes", "Room on the disk that a volume lies on", labels=("volume",)
        )
        folders = {
            "tracking-tmp": Path(tempfile.gettempdir()),
            "tracking-backups": self._settings.backups,
        }
        for name, folder in folders.items():
            if folder and folder.is_dir():
                usage = shutil.disk_usage(folder)
                size.add_metric((name,), usage.total)
                free.add_metric((name,), usage.free)
        yield from (size, free)


def _processes(parent: psutil.Process) -> Iterator[Metric]:
    """The server's: what the parent's dead children used stays in its own account."""
    try:
        workers = parent.children()
        own = parent.cpu_times()
        seconds = own.user + own.system + own.children_user + own.children_system
        memory = parent.memory_full_info().pss
        for worker in workers:
            times = worker.cpu_times()
            seconds += times.user + times.system
            memory += worker.memory_full_info().pss
        started = parent.create_time()
    except psutil.Error:  # one of them ended just now
        return
    yield CounterMetricFamily("tracking_cpu_seconds", "CPU time, all processes", seconds)
    yield GaugeMetricFamily(
        "tracking_memory_bytes", "Memory, all processes; what they share once", memory
    )
    yield GaugeMetricFamily("tracking_workers", "Worker processes", len(workers))
    yield GaugeMetricFamily("tracking_start_time_seconds", "When the server started", started)


def last_backup(file: Path) -> float:
    """Unix seconds; 0 where there is no backup, or no file that says so."""
    try:
        return float(json.loads(file.read_bytes())["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
