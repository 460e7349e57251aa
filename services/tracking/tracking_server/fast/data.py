"""Metrics, parameters and tags of runs: rows, of which there may be many, made JSON here."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tracking_server.fast.connection import Cursor

METRICS = """SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics
WHERE run_uuid = ANY (%s)"""
PARAMS = "SELECT run_uuid, key, value FROM params WHERE run_uuid = ANY (%s)"
TAGS = "SELECT run_uuid, key, value FROM tags WHERE run_uuid = ANY (%s)"


class Pair(msgspec.Struct, omit_defaults=True, gc=False):
    """A parameter or a tag."""

    key: str
    value: str | None = None


class Metric(msgspec.Struct, omit_defaults=True, gc=False):
    """A point of a metric."""

    key: str
    value: float | str
    timestamp: int
    step: int
    run_id: str | None = None


class Data(msgspec.Struct, omit_defaults=True):
    """What a run has; what is empty is left out, as MLflow does."""

    metrics: list[Metric] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class Page(msgspec.Struct, omit_defaults=True):
    """An answer with points of metrics."""

    metrics: list[Metric] = []
    next_page_token: str | None = None


encode = msgspec.json.Encoder().encode


class Run(NamedTuple):
    """A run, and its fields but the data, by entities.RUN or FOUND_RUN."""

    run_id: str
    fields: str


def whole(cursor: Cursor, runs: Sequence[Run]) -> list[bytes]:
    """JSON of each."""
    data: defaultdict[str, Data] = defaultdict(Data)
    ids = ([run.run_id for run in runs],)
    cursor.execute(METRICS, ids)
    for run, key, value, timestamp, step, is_nan in cursor.fetchall():
        data[run].metrics.append(Metric(key, number(value, is_nan), timestamp, step))
    cursor.execute(PARAMS, ids)
    for run, key, value in cursor.fetchall():
        data[run].params.append(Pair(key, value))
    cursor.execute(TAGS, ids)
    for run, key, value in cursor.fetchall():
        data[run].tags.append(Pair(key, value))
    return [b'{%b,"data":%b}' % (run.fields.encode(), encode(data[run.run_id])) for run in runs]


def number(value: float, is_nan: bool) -> float | str:
    """A metric's value; what JSON has no number for by its name, as protobuf writes it."""
    if is_nan or value != value:
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
