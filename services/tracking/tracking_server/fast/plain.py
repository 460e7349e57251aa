"""What is plain: requests that MLflow takes as they are, and what they write.

Everything else is MLflow's to answer: the functions here return None, or raise msgspec's error, and
nothing has happened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec
from mlflow.exceptions import MlflowException
from mlflow.utils import validation

LARGEST = 1.7976931348623157e308
"""As MLflow stores an infinity, which its databases do not hold."""
NUMBERS = {
    "NaN": (0.0, True),
    "Infinity": (LARGEST, False),
    "-Infinity": (-LARGEST, False),
}
"""How clients write what JSON has no number for, and how it is stored: value and is_nan."""
EXPERIMENT = re.compile(r"0|[1-9][0-9]{0,8}")
LONGEST_BATCH = 1_000_000
"""Bytes of a request for several, above which MLflow refuses it."""


class Metric(msgspec.Struct, forbid_unknown_fields=True):
    """A point of a metric, as log-batch has it."""

    key: str
    value: float | Literal["NaN", "Infinity", "-Infinity"]
    timestamp: int
    step: int = 0


class Pair(msgspec.Struct, forbid_unknown_fields=True):
    """A parameter or a tag."""

    key: str
    value: str


class LogMetric(Metric, forbid_unknown_fields=True, kw_only=True):
    """log-metric. `run_uuid` is what `run_id` was called, and clients still send both."""

    run_id: str
    run_uuid: str = ""


class LogPair(Pair, forbid_unknown_fields=True, kw_only=True):
    """log-parameter and set-tag."""

    run_id: str
    run_uuid: str = ""


class LogBatch(msgspec.Struct, forbid_unknown_fields=True):
    """log-batch."""

    run_id: str
    metrics: list[Metric] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class Point(msgspec.Struct):
    """A row of `metrics`."""

    key: str
    value: float
    timestamp: int
    step: int
    is_nan: bool


class Log(msgspec.Struct):
    """What one request writes to one run."""

    run: str
    metrics: list[Point] = []
    params: list[Pair] = []
    tags: list[Pair] = []


def log_metric(body: bytes) -> Log | None:
    """A request for log-metric."""
    asked = _METRIC.decode(body)
    point = _point(asked)
    if point is None or not _is_one_run(asked):
        return None
    return Log(asked.run_id, metrics=[point])


def log_parameter(body: bytes) -> Log | None:
    """A request for log-parameter."""
    asked = _PAIR.decode(body)
    if not _is_one_run(asked) or not _is_plain_param(asked):
        return None
    return Log(asked.run_id, params=[asked])


def set_tag(body: bytes) -> Log | None:
    """A request for a run's set-tag."""
    asked = _PAIR.decode(body)
    if not _is_one_run(asked) or not _is_plain_tag(asked):
        return None
    return Log(asked.run_id, tags=[asked])


def log_batch(body: bytes) -> Log | None:
    """A request for log-batch."""
    if len(body) > LONGEST_BATCH:
        return None
    asked = _BATCH.decode(body)
    params, tags = asked.params, asked.tags
    if (
        len(asked.metrics) > validation.MAX_METRICS_PER_BATCH
        or max(len(params), len(tags)) > validation.MAX_PARAMS_TAGS_PER_BATCH
        or len(asked.metrics) + len(params) + len(tags) > validation.MAX_ENTITIES_PER_BATCH
        or len({param.key for param in params}) < len(params)
        or not _is_plain_run(asked.run_id)
        or not (asked.metrics or params or tags)  # no statement would look at the run
        or not all(map(_is_plain_param, params))
        or not all(map(_is_plain_tag, tags))
    ):
        return None
    points = [_point(metric) for metric in asked.metrics]
    plain = [point for point in points if point is not None]
    if len(plain) < len(points):
        return None
    return Log(asked.run_id, plain, params, tags)


_METRIC = msgspec.json.Decoder(LogMetric)
_PAIR = msgspec.json.Decoder(LogPair)
_BATCH = msgspec.json.Decoder(LogBatch)


def _is_one_run(asked: LogMetric | LogPair) -> bool:
    return _is_plain_run(asked.run_id) and asked.run_uuid in ("", asked.run_id)


def _is_plain_run(run_id: str) -> bool:
    """MLflow answers for those that no run can have; PostgreSQL would refuse to look for some."""
    return bool(run_id) and run_id.isascii() and run_id.isalnum()


def _point(metric: Metric) -> Point | None:
    """The row, unless MLflow would refuse it. JSON knows no infinity but by these names."""
    text = metric.value
    value, is_nan = NUMBERS[text] if isinstance(text, str) else (text, False)
    if not (0 <= metric.timestamp < 2**63 and -(2**63) <= metric.step < 2**63):
        return None
    if not math.isfinite(value) or not _is_plain_name(metric.key):
        return None
    return Point(metric.key, value, metric.timestamp, metric.step, is_nan)


@lru_cache(10_000)
def _is_plain_name(key: str) -> bool:
    """Whether a metric or a parameter may be called so; both by the same rule and length."""
    try:
        validation._validate_metric_name(key)
    except MlflowException:
        return False
    return len(key) <= validation.MAX_ENTITY_KEY_LENGTH and "\0" not in key


@lru_cache(10_000)
def _is_plain_tag_name(key: str) -> bool:
    """MLflow's own tags have meanings: its code sets them."""
    try:
        validation._validate_tag_name(key)
    except MlflowException:
        return False
    of_mlflow = key.startswith("mlflow.")
    return len(key) <= validation.MAX_ENTITY_KEY_LENGTH and "\0" not in key and not of_mlflow


def _is_plain_param(param: Pair) -> bool:
    return _is_plain_name(param.key) and is_text(param.value, validation.MAX_PARAM_VAL_LENGTH)


def _is_plain_tag(tag: Pair) -> bool:
    return _is_plain_tag_name(tag.key) and is_text(tag.value, validation.MAX_TAG_VAL_LENGTH)


def is_text(text: str, longest: int) -> bool:
    """Whether the database takes it: no more than so many characters, and no NUL."""
    return len(text) <= longest and "\0" not in text


def is_number(experiment: str) -> bool:
    """Whether that is an experiment's number, as MLflow writes it."""
    return EXPERIMENT.fullmatch(experiment) is not None


def without_contradictions(logs: Sequence[Log]) -> list[int]:
    """Places of those that give no parameter another value than one before them does."""
    values: dict[tuple[str, str], str] = {}
    places = []
    for place, log in enumerate(logs):
        if all(values.get((log.run, one.key), one.value) == one.value for one in log.params):
            values.update({(log.run, one.key): one.value for one in log.params})
            places.append(place)
    return places
