"""Many calls, one prediction: rows merged, the result split, each part written by its own call.

When the merged prediction raises, or its result cannot be told apart by rows, the scorer has each
call predicted alone: a bad row fails its own request, and nothing of one request is in the answer
to another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from model_server.processes.wire import Answer, Batch, Reply
from model_server.scoring.call import Call, Params
from model_server.scoring.table import Table, merged

MAX_ROWS = 1024
"""Rows of a merged prediction; more gain little and keep the others waiting."""

Predict = Callable[[Table, Params | None], object]
Failed = Callable[[Call, object, BaseException], Answer]
"""The answer to a call whose predictions, the second argument, could not be written."""


class NotSplittableError(Exception):
    """A result that does not have one part for each row."""


def batches(calls: Sequence[Call], max_rows: int = MAX_ROWS) -> Iterator[list[Call]]:
    """Calls that may be merged, oldest first. One with more than `max_rows` stays alone."""
    open_: dict[object, list[Call]] = {}
    rows: dict[object, int] = {}
    for call in calls:
        group = call.group
        if group in open_ and rows[group] + call.table.rows > max_rows:
            yield open_.pop(group)
        if group not in open_:
            open_[group], rows[group] = [], 0
        open_[group].append(call)
        rows[group] += call.table.rows
    yield from open_.values()


def together(calls: Sequence[Call], predict: Predict, failed: Failed, read: float) -> Reply:
    """The answers to calls of one group, which took `read` seconds to read. Raises what the model
    raises, and NotSplittableError."""
    started = time.perf_counter()
    table = merged([call.table for call in calls])
    result = predict(table, calls[0].params)
    predicted = time.perf_counter()
    parts = [result] if len(calls) == 1 else split(result, [call.table.rows for call in calls])
    answers = []
    for call, part in zip(calls, parts, strict=True):
        try:
            answers.append(Answer(call.request.number, 200, call.write(part)))
        except BaseException as error:  # writing may run code of the model's
            answers.append(failed(call, part, error))
    write = time.perf_counter() - predicted
    return Reply(answers, [Batch(len(calls), table.rows, read, predicted - started, write)])


def split(result: object, sizes: Sequence[int]) -> list[Any]:
    """A part for each size, of the same type. Raises NotSplittableError."""
    if isinstance(result, dict):
        by_name = {name: split(values, sizes) for name, values in result.items()}
        return [{name: by_name[name][at] for name in by_name} for at in range(len(sizes))]
    if isinstance(result, pd.DataFrame | pd.Series):
        rows, by_row = len(result), result.iloc
    elif isinstance(result, list) or (isinstance(result, np.ndarray) and result.ndim):
        rows, by_row = len(result), result
    else:
        raise NotSplittableError(f"a result of type {type(result).__name__}")
    if rows != sum(sizes):
        raise NotSplittableError(f"a result of {rows} parts for {sum(sizes)} rows")
    parts, start = [], 0
    for size in sizes:
        parts.append(by_row[start : start + size])
        start += size
    return parts
