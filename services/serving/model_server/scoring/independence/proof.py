"""Predictions one by one held against predictions together, on rows meant to show a difference."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from model_server.scoring.batching import NotSplittableError, split
from model_server.scoring.prediction import TOLERANCE, PredictRows
from model_server.scoring.table import Table, merged

_ROWS = 4
"""Rows of the input example, and as many near them."""
_SIZES = (2, 3, 5, 8, 13, 21, 34, 64)
_ROUNDS = 2
"""Batches of each size."""
_SECONDS = 1.0
"""A slow model gets odd rows for so long, and batches for as long again."""
_LARGE = (1e300, -1e300)
_TEXTS = ("", "never seen before", "0", "☃", "NaN")


@dataclass
class _Row:
    """A request's, which may have more than one."""

    table: Table
    alone: object
    is_compared: bool = True
    """Not the answers to numbers so large that nothing but rounding is left of them."""


def difference(example: Table, predict: PredictRows) -> str | None:
    """The reason not to merge: a difference between predictions one by one and together, on the
    example and on rows made from it. Rows that the model refuses alone are left out, but for the
    example's."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of values that are odd on purpose
        return _difference(example, predict)


def _difference(example: Table, predict: PredictRows) -> str | None:
    random = np.random.default_rng(0)
    singles = [example.part(at, at + 1) for at in range(min(example.rows, _ROWS))]
    whole = next((row for row in singles if not _has_empty_column(row)), None)
    singles = [_as_read(row, whole) for row in singles]
    try:
        rows = [_Row(row, predict(row)) for row in singles]
    except BaseException as error:  # a model may raise anything, a panic of Rust say
        return f"it raises {type(error).__name__} on what it is to be proven on"
    near = [_changed(singles[at % len(singles)], _near, random) for at in range(_ROWS)]
    rows += _accepted(near, predict)
    try:
        for row in rows:
            (row.alone,) = split(row.alone, [row.table.rows])
        if reason := _compared(rows, predict):
            return reason
    except NotSplittableError as error:
        return f"predictions cannot be told apart by rows: {error}"
    except BaseException as error:
        return f"rows that can be predicted alone cannot be together: {type(error).__name__}"
    if len(rows) == 1:
        return "there is no second row to prove it on"
    until = time.monotonic() + _SECONDS
    for one, is_compared in _odd(singles, random):
        if time.monotonic() > until:
            break
        for row in _accepted([_as_read(one, whole)], predict):
            with contextlib.suppress(NotSplittableError):  # then it is not together either
                (row.alone,) = split(row.alone, [row.table.rows])
                row.is_compared = is_compared
                rows.append(row)
    until = time.monotonic() + _SECONDS
    for batch in _batches(rows, random):
        if time.monotonic() > until:
            break
        # What raises together, or cannot be told apart, is predicted alone when it is served, too.
        with contextlib.suppress(BaseException):
            if reason := _compared(batch, predict):
                return reason
    return None


def _as_read(row: Table, whole: Table | None) -> Table:
    """The row, with a whole one after it where a column of texts has nothing but missing ones:
    readers leave those to MLflow, since pandas gives them another type."""
    if whole is None or whole is row or not _has_empty_column(row):
        return row
    return merged([row, whole])


def _has_empty_column(row: Table) -> bool:
    return row.block is None and any(
        column.dtype == object and all(value is None for value in column.flat)
        for column in row.columns
    )


def _accepted(tables: list[Table], predict: PredictRows) -> Iterator[_Row]:
    for table in tables:
        try:
            row = _Row(table, predict(table))
        except BaseException:  # noqa: S112  a model may have its reasons
            continue
        yield row


def _compared(rows: list[_Row], predict: PredictRows) -> str | None:
    """Raises what the model raises, and NotSplittableError."""
    tables = [row.table for row in rows]
    together = split(predict(merged(tables)), [table.rows for table in tables])
    for row, part in zip(rows, together, strict=True):
        try:
            is_same = not row.is_compared or same(row.alone, part)
        except Exception as error:  # objects of the model's own
            return f"predictions cannot be compared: {type(error).__name__}"
        if not is_same:
            return "predictions together are not those alone"
    return None


def _batches(rows: list[_Row], random: np.random.Generator) -> Iterator[list[_Row]]:
    """Batches of rows drawn again and again, in any order; in each, one that is compared."""
    plain = [row for row in rows if row.is_compared]
    yield rows[::-1]
    for _ in range(_ROUNDS):
        for size in _SIZES:
            batch = [rows[at] for at in random.integers(0, len(rows), size)]
            batch[random.integers(size)] = plain[random.integers(len(plain))]
            yield batch


def _odd(singles: list[Table], random: np.random.Generator) -> Iterator[tuple[Table, bool]]:
    """Rows as nobody expects them, and whether their answers are to be compared."""
    for row in singles[:2]:
        yield _changed(row, _missing, random), True
        for _ in range(3):
            yield _changed(row, _missing, random, share=0.4), True
            yield _changed(row, _unknown, random, share=0.5), True
        yield _changed(row, _zero, random), True
        for value in (*_LARGE, 1e4, -1e4):
            change = lambda values, _, value=value: _number(values, value)  # noqa: E731
            yield _changed(row, change, random, one=True), abs(value) < 1e6
        for value in (np.inf, -np.inf):
            change = lambda values, _, value=value: _number(values, value)  # noqa: E731
            yield _changed(row, change, random, one=True), False
    for _ in range(4):
        yield _changed(singles[0], _near, random, share=0.5), True


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _changed(
    row: Table,
    change: Change,
    random: np.random.Generator,
    share: float = 1.0,
    one: bool = False,
) -> Table:
    """Another row: `change` made to a share of the columns, or of the numbers of a tensor, or to
    one of them."""

    def changed(values: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
        if not is_chosen.any():
            return values
        other = change(values, random)
        if is_chosen.all():
            return other
        if other.dtype.kind == "U":  # texts may have become longer
            values = values.astype(np.promote_types(values.dtype, other.dtype))
        mixed: np.ndarray = np.where(is_chosen, other, values)
        return mixed.astype(other.dtype)

    def chosen(count: int) -> np.ndarray:
        if one:
            only: np.ndarray = np.arange(count) == random.integers(max(count, 1))
            return only
        return random.random(count) < share

    if row.block is not None:
        mask = chosen(row.block.size).reshape(row.block.shape)
        return Table(row.names, block=changed(row.block, mask), is_tensor=row.is_tensor)
    masks = chosen(len(row.columns))
    columns = [
        changed(column, np.full(column.shape, mask))
        for column, mask in zip(row.columns, masks, strict=True)
    ]
    return Table(row.names, columns=columns, is_tensor=row.is_tensor)


def _near(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    match values.dtype.kind:
        case "f":
            other = values * random.uniform(0.5, 1.5, values.shape)
            return (other + random.normal(0, 0.1, values.shape)).astype(values.dtype)
        case "i" | "u":
            other = values * random.uniform(0.5, 1.5, values.shape)
            return other.astype(values.dtype)
        case "b":
            return random.integers(0, 2, values.shape).astype(bool)
    return values


def _missing(values: np.ndarray, _: np.random.Generator) -> np.ndarray:
    match values.dtype.kind:
        case "f":
            return np.full_like(values, np.nan)
        case "O":
            return np.full_like(values, None)
        case "M":
            return np.full_like(values, np.datetime64("NaT"))
    return values


def _unknown(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Other texts and categories, other days."""
    match values.dtype.kind:
        case "O":
            is_text = all(value is None or isinstance(value, str) for value in values.flat)
            if not is_text:
                return values
            text = _TEXTS[random.integers(len(_TEXTS))]
            other = [text if random.random() < 0.7 else f"{one}{one}"[::-1] for one in values.flat]
            return np.array(other, dtype=object).reshape(values.shape)
        case "U":
            return np.full(values.shape, _TEXTS[random.integers(len(_TEXTS))])
        case "M":
            return values + np.timedelta64(int(random.integers(-900, 900)), "D")
    return _near(values, random)


def _zero(values: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.zeros_like(values) if values.dtype.kind in "fiub" else values


def _number(values: np.ndarray, value: float) -> np.ndarray:
    """The value everywhere, as large as the type has it."""
    kind = values.dtype.kind
    if kind == "f":
        largest = np.finfo(values.dtype).max / 1e8
        value = value if np.isinf(value) else np.clip(value, -largest, largest)
        return np.full_like(values, value)
    if kind in "iu" and abs(value) < 1e6:  # own code may count up to it
        limits = np.iinfo(values.dtype)
        return np.full_like(values, max(limits.min, min(limits.max, int(value))))
    return values


def same(one: object, other: object) -> bool:
    """Whether two predictions are equal: floats within the tolerance, NaN like NaN."""
    if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
        one, other = one.to_dict("list"), other.to_dict("list")
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray | pd.Series) and isinstance(other, np.ndarray | pd.Series):
        one, other = np.asarray(one), np.asarray(other)
        kinds = {one.dtype.kind, other.dtype.kind}
        if one.shape != other.shape or (len(kinds) > 1 and not kinds <= {"O", "U"}):
            return False  # texts beside one that is missing are objects
        if one.dtype.kind == "f":
            return bool(np.allclose(one, other, TOLERANCE, TOLERANCE, equal_nan=True))
        return same(one.tolist(), other.tolist())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float | np.floating) and isinstance(other, float | np.floating):
        return bool(np.isclose(one, other, TOLERANCE, TOLERANCE, equal_nan=True))
    return type(one) is type(other) and bool(one == other)
