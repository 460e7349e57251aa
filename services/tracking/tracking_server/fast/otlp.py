"""Traces by OTLP: which requests are plain, and what answers them."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from mlflow.server import otlp_metrics
from mlflow.server.otel_api import _PROTOCOL_LABEL
from mlflow.tracing.utils.otlp import MLFLOW_EXPERIMENT_ID_HEADER, OTLP_TRACES_PATH

from tracking_server.fast import plain, spans
from tracking_server.fast.group import Group
from tracking_server.fast.spans import Export

ROUTE = "POST", OTLP_TRACES_PATH
EXPERIMENT = MLFLOW_EXPERIMENT_ID_HEADER.encode()
PROTOBUF = b"application/x-protobuf"
GZIP = b"gzip"
GZIP_BITS = 31
"""What zlib calls it."""
LARGEST = plain.LONGEST_BATCH
"""Bytes of a request, unpacked."""
SMALL, SMALL_PACKED = 32768, 4096
"""Bytes of one that others wait for while it is read."""


class Head(NamedTuple):
    """What a request's head says."""

    experiment: int
    is_packed: bool


def head(headers: Mapping[bytes, bytes]) -> Head | None:
    """What is plain of one."""
    experiment = headers.get(EXPERIMENT, b"").decode("latin-1")
    packed = headers.get(b"content-encoding")
    if (
        not plain.is_number(experiment)
        or packed not in (None, GZIP)
        or headers.get(b"content-type") != PROTOBUF
    ):
        return None
    return Head(int(experiment), packed is not None)


class Exports:
    """Stores requests together, and counts them as MLflow does."""

    def __init__(self, group: Group[Export, bool]) -> None:
        self._group = group

    async def store(self, asked: Head, body: bytes) -> bytes | None:
        """The answer, or None where MLflow is to give it."""
        began = time.perf_counter()
        if len(body) > (SMALL_PACKED if asked.is_packed else SMALL):
            export = await asyncio.to_thread(_read, asked, body)
        else:
            export = _read(asked, body)
        if export is None or not await self._group.do(export):
            return None
        _count(len(body), export.spans, time.perf_counter() - began)
        return b""


def _read(asked: Head, body: bytes) -> Export | None:
    if asked.is_packed:
        unpacking = zlib.decompressobj(GZIP_BITS)
        try:
            body = unpacking.decompress(body, LARGEST)
        except zlib.error:
            return None
        if not unpacking.eof or unpacking.unused_data:  # larger, broken off, or of several parts
            return None
    return spans.export(body, asked.experiment)


def _count(size: int, spans: int, seconds: float) -> None:
    """As MLflow's export_traces does; without prometheus_client there is nothing to count in."""
    if otlp_metrics.SPANS_INGESTED is not None:
        otlp_metrics.REQUEST_PAYLOAD_BYTES.observe(size)
        otlp_metrics.SPANS_INGESTED.labels(protocol=_PROTOCOL_LABEL).inc(spans)
        otlp_metrics.SPANS_PER_REQUEST.observe(spans)
        otlp_metrics.REQUEST_DURATION.observe(seconds)
