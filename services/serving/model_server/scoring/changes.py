"""What a value is that MLflow would silently make another one, by the type that it is to have.

| type         | taken as it is                                                               |
| ------------ | ---------------------------------------------------------------------------- |
| boolean      | true, false                                                                  |
| integers     | integers within the type, also as 3.0                                        |
| floats       | numbers within the type, integers that it holds exactly; null, NaN, Infinity |
| string       | texts; null in dataframe_*                                                   |
| datetime     | ISO 8601 without a zone, from 1678 to 2261; null                             |
| binary       | base64, in dataframe_*                                                       |
| lists, ...   | the same for what is in them                                                 |

Decimals are rounded to floats as ever. What MLflow refuses by itself is taken, too.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from mlflow.types import DataType
from mlflow.types.schema import Array, Map, Object

from model_server.errors import RefusedError

TOO_LARGE = object()
"""Stands for a number that is written with digits and exceeds a double."""
MISSING_IN_CSV = frozenset(
    (
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "-NaN", "-nan", "n/a", "nan", "null"),
    )
)
"""Texts that pandas.read_csv takes for a missing value, beside the empty one."""

_TIME = re.compile(r"(\d{4})-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?", re.ASCII)
_YEARS = range(1678, 2262)
"""That nanoseconds in 64 bits hold as a whole."""
_TENSORS = {
    "b": DataType.boolean,
    "U": DataType.string,
    "S": DataType.binary,
    "M": DataType.datetime,
}


def number(text: str) -> float | object:
    """A float as JSON's decoder is to read it, or TOO_LARGE."""
    value = float(text)
    return TOO_LARGE if math.isinf(value) else value


def change(value: object, kind: object, in_frame: bool) -> str | None:
    """What `value` is that MLflow would change to have it of this kind, a type of MLflow's or of
    numpy's; None when it would not. `in_frame`: of dataframe_split or dataframe_records."""
    if isinstance(kind, Array | Map | Object):
        return next((reason for reason in _changes_within(value, kind) if reason), None)
    if isinstance(kind, np.dtype):
        kind = _TENSORS.get(kind.kind, kind)
    if isinstance(kind, DataType):
        if own := _CHANGES.get(kind):
            return own(value, in_frame)
        kind = kind.to_numpy()
    if not isinstance(kind, np.dtype) or kind.kind == "O":  # as that, all stays what it is
        return None
    return _change_of_number(value, kind)


def _changes_within(value: object, kind: Array | Map | Object) -> Iterator[str | None]:
    if isinstance(kind, Array) and isinstance(value, list):
        yield from (change(one, kind.dtype, in_frame=False) for one in value)
    elif isinstance(kind, Map) and isinstance(value, dict):
        yield from (change(one, kind.value_type, in_frame=True) for one in value.values())
    elif isinstance(kind, Object) and isinstance(value, dict):
        kinds = {part.name: part.dtype for part in kind.properties}
        for name, one in value.items():
            if one is not None:  # MLflow takes that only where it may be missing
                yield change(one, kinds.get(name), in_frame=True)


def _change_of_number(value: object, dtype: np.dtype) -> str | None:
    if value is None:
        return None  # missing in floats; MLflow refuses it in integers
    if isinstance(value, bool):
        return "true or false where a number belongs"
    if isinstance(value, str):
        return "text where a number belongs"
    beyond = f"beyond what {dtype.name} holds"
    if value is TOO_LARGE:
        return beyond
    if not isinstance(value, int | float):
        return "no number"
    if dtype.kind == "f":
        return _change_of_float(value, dtype, beyond)
    if isinstance(value, float):
        if not value.is_integer():
            return "no integer"
        value = int(value)
    limits = np.iinfo(dtype)
    return None if limits.min <= value <= limits.max else beyond


def _change_of_float(value: float, dtype: np.dtype, beyond: str) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if abs(value) > float(np.finfo(dtype).max):
        return beyond
    if isinstance(value, int) and int(dtype.type(value)) != value:
        return f"an integer that {dtype.name} does not hold exactly"
    return None


def _change_of_boolean(value: object, _: bool) -> str | None:
    return None if isinstance(value, bool) else "neither true nor false"


def _change_of_text(value: object, in_frame: bool) -> str | None:
    if isinstance(value, str) and value.endswith("\0") and not in_frame:
        return "text that ends with a null character, which would be cut off"
    if isinstance(value, str) or (value is None and in_frame):
        return None
    return "null, which would become text" if value is None else "not text"


def _change_of_time(value: object, _: bool) -> str | None:
    if value is None:
        return None
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return "no time in ISO 8601 without a zone"
    return None if int(match[1]) in _YEARS else "beyond the years 1678 to 2261"


def _change_of_bytes(value: Any, in_frame: bool) -> str | None:
    if not in_frame:
        return "binary, which is read from base64 only in dataframe_split and dataframe_records"
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return "not base64"
    return None


_CHANGES = {
    DataType.boolean: _change_of_boolean,
    DataType.string: _change_of_text,
    DataType.datetime: _change_of_time,
    DataType.binary: _change_of_bytes,
}


def change_in_csv(text: str, kind: object) -> str | None:
    """What a cell of CSV is that MLflow would change; None when it would not."""
    if kind == DataType.binary:
        return "binary, which CSV has no form for"
    if isinstance(kind, DataType):
        kind = kind.to_numpy() if kind != DataType.string else np.dtype("U")
    if not isinstance(kind, np.dtype):
        return None
    if kind.kind == "U":
        return "a word that CSV reads as a missing value" if text in MISSING_IN_CSV else None
    if kind.kind not in "fiu" or not text or text in MISSING_IN_CSV:
        return None
    try:
        value: object = (
            number(text) if kind.kind == "f" and not text.strip("+- ").isdecimal() else int(text)
        )
    except ValueError:
        return "text where a number belongs"
    if value is TOO_LARGE and "inf" in text.lower():
        return None
    return _change_of_number(value, kind)


def check_value(
    value: object, kind: object, name: object, row: int, in_frame: bool = False
) -> None:
    """Refuses a value that MLflow would change, in lists of any depth, too, unless the column's
    type is one of lists. Raises RefusedError 400."""
    if isinstance(value, list) and not isinstance(kind, Array):
        for one in value:
            check_value(one, kind, name, row, in_frame)
    elif reason := change(value, kind, in_frame):
        raise misread(name, row, reason)


def misread(name: object, row: int, reason: str) -> RefusedError:
    """Refusal of a value in the column `name`."""
    where = f"Column {quoted(name)}" if isinstance(name, str) else f"Column {name}"
    return refused(f"{where}, row {row}: {reason}.")


def refused(message: str) -> RefusedError:
    """Refusal; `message` holds names and row numbers, no values."""
    return RefusedError(400, "INVALID_PARAMETER_VALUE", f"Refused by serving.strict. {message}")


def quoted(name: object) -> str:
    """A name as messages have it."""
    return repr(str(name)[:100])
