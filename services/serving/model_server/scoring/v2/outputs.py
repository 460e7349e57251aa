"""Outputs of an Open Inference Protocol response, from what models return. `tensors` says how
values are written that JSON has no form for."""

import base64
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

import msgspec
import numpy as np
import pandas as pd

from model_server.scoring.v2.tensors import DATATYPES

_NAMES = {dtype: name for name, dtype in DATATYPES.items() if dtype.kind != "O"}


def named(prediction: object, names: list[str], default: str) -> list[tuple[str, object]]:
    """Each output with its name: one of `names`, which the signature promises, wherever there are
    as many outputs, or one is promised for all; else its own, or `default`."""
    own = _own(prediction, names)
    if own is None:
        if len(names) != 1:
            own = _columns(prediction, len(names))
    elif not names or {name for name, _ in own} & set(names):
        return own
    elif len(own) != len(names) == 1:
        own = None
    if own and len(own) == len(names):
        return [(name, values) for name, (_, values) in zip(names, own, strict=True)]
    if own:
        return own
    if not names and isinstance(prediction, pd.Series) and prediction.name is not None:
        return [(str(prediction.name), prediction)]
    return [(names[0] if len(names) == 1 else default, prediction)]


def _own(prediction: object, names: list[str]) -> list[tuple[str, object]] | None:
    """The outputs that have names of their own: a frame's columns, a dict's entries, and what
    records have, where these are the outputs that are promised."""
    if isinstance(prediction, pd.DataFrame):
        return [(str(name), values) for name, values in prediction.items()]
    if isinstance(prediction, Mapping):
        entries = [(str(name), values) for name, values in prediction.items()]
        arrays = all(isinstance(values, np.ndarray | pd.Series) for _, values in entries)
        is_object = len(names) == 1 and not arrays and names[0] not in prediction
        return None if is_object else entries
    if names and isinstance(prediction, list) and prediction and isinstance(prediction[0], Mapping):
        keys = prediction[0].keys()
        is_promised = keys == set(names) or len(keys) == len(names) > 1
        if is_promised and all(
            isinstance(one, Mapping) and one.keys() == keys for one in prediction
        ):
            return [(str(key), [one[key] for one in prediction]) for key in keys]
    return None


def _columns(prediction: object, count: int) -> list[tuple[str, object]] | None:
    """Those of an array, of a list of lists, or of a tuple of arrays, that has so many."""
    columns: Iterable[object]
    if isinstance(prediction, tuple) and all(
        isinstance(one, np.ndarray | pd.Series) for one in prediction
    ):
        columns = prediction if len(prediction) == count else ()
    elif isinstance(prediction, np.ndarray):
        columns = prediction.T if prediction.shape[1:] == (count,) else ()
    elif isinstance(prediction, list) and all(
        isinstance(row, list | tuple) and len(row) == count for row in prediction
    ):
        columns = [list(column) for column in zip(*prediction, strict=True)]
    else:
        columns = ()
    return [("", column) for column in columns] or None


class _Output(TypedDict):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Output(_Output, total=False):
    """One tensor of a response."""

    parameters: dict[str, str]


def output(name: str, values: object) -> Output:
    """A tensor of `values`: an array, a series, a list or one value. Raises TypeError for objects
    that have no JSON form."""
    array, content_type = _plain(values)
    data = array.ravel().tolist()
    if array.dtype.kind == "f" and np.isinf(array).any():
        data = [_finite(value) for value in data]
    tensor: Output = {
        "name": name,
        "shape": list(array.shape) or [1],
        "datatype": _NAMES.get(array.dtype, "BYTES"),
        "data": data,
    }
    if content_type:
        tensor["parameters"] = {"content_type": content_type}
    return tensor


def _finite(value: float) -> float | str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _plain(values: object) -> tuple[np.ndarray, str | None]:
    """An array of one of the protocol's datatypes, and what its strings are in truth."""
    array = _array(values)
    if array.dtype in _NAMES:
        return array, None
    match array.dtype.kind:
        case "f":  # longer than FP64
            return array.astype(float), None
        case "b" | "i" | "u":  # of another byte order
            return array.astype(array.dtype.newbyteorder("=")), None
        case "M":
            texts = np.datetime_as_string(array).astype(object)
            texts[np.isnat(array)] = None
            return texts, "datetime"
        case _:
            return _objects(array.astype(object))


def _array(values: object) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, pd.Series):
        array: np.ndarray = _of_series(values)
        return array
    if isinstance(values, list | tuple):
        if not any(isinstance(value, str | bytes | Mapping) for value in values):
            try:
                return np.array(values)
            except ValueError:
                pass  # ragged: each element is an object
        return _of_objects(list(values), (len(values),))
    if isinstance(values, np.generic | int | float) or hasattr(values, "__array__"):
        return np.asarray(values)
    return _of_objects([values], (1,))


def _of_series(series: Any) -> Any:
    """The array of a series; nullable numbers become floats where one is missing."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _of_series(series.astype(dtype.categories.dtype))
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    if not isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        if series.hasnans:
            return series.to_numpy(dtype=float, na_value=math.nan)
        return series.to_numpy(dtype=dtype.numpy_dtype)
    return series.to_numpy()


def _of_objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def _objects(array: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Objects that are all of one kind, as that kind."""
    missing = pd.isna(array)
    kind = pd.api.types.infer_dtype(array.ravel(), skipna=True)
    if kind == "boolean" and not missing.any():
        return array.astype(bool), None
    if kind == "integer" and not missing.any():
        return np.array(array.tolist()), None
    if kind in ("integer", "floating", "mixed-integer-float"):
        return np.where(missing, math.nan, array).astype(float), None
    content_type = None
    write: Callable[[Any], str]
    if kind in ("string", "empty"):
        write = str
    elif kind == "bytes":
        write, content_type = _base64, "base64"
    else:
        write, content_type = _json, "json"
    values = zip(array.ravel().tolist(), missing.ravel().tolist(), strict=True)
    return _of_objects(
        [None if no else write(one) for one, no in values], array.shape
    ), content_type


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=_without_json_form).decode()


def _without_json_form(value: object) -> object:
    """Raises TypeError when there is nothing to be done."""
    if isinstance(value, np.ndarray | np.generic | pd.Series):
        return value.tolist()
    if isinstance(value, pd.DataFrame):
        return value.to_dict("records")
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
