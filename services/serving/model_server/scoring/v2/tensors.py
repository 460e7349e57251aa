"""Tensors of the Open Inference Protocol, from JSON to numpy arrays.

`data` may be flat or nested, in row-major order. What JSON has no form for is said so, in requests
and in responses:

| value               | JSON                                               |
| ------------------- | -------------------------------------------------- |
| NaN, missing string | null, as MLServer writes it                        |
| infinity            | "Infinity", "-Infinity", as protobuf's JSON does   |
| bytes               | base64, with the parameter content_type "base64"   |
| date and time       | ISO 8601, with content_type "datetime"             |
| any other object    | its own JSON as a string, with content_type "json" |
"""

import math
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from model_server.errors import RefusedError

DATATYPES = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
MAX_DIMENSIONS = 32
MAX_ELEMENTS = 2**31
"""Elements that a shape may ask for, zeros left out: nobody can make the server allocate by naming
a number."""

_LISTS = {"b": list[bool], "i": list[int], "u": list[int], "f": list[float], "O": list[str]}
_NOT_FINITE = {None: math.nan, "NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Tensor(msgspec.Struct):
    """One input of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw
    parameters: dict[str, Any] | None = None

    @property
    def content_type(self) -> str | None:
        """What its strings are in truth, where the client says so."""
        value = self.parameters.get("content_type") if self.parameters else None
        return value if isinstance(value, str) else None


def misfit(message: str) -> RefusedError:
    """Refusal of a body that is JSON, and does not fit the protocol or the model."""
    return RefusedError(422, "INVALID_PARAMETER_VALUE", message)


def read(tensor: Tensor) -> np.ndarray:
    """An array of the tensor's shape and datatype; BYTES is one of objects: str, or None for null.
    Raises RefusedError 422."""
    dtype = DATATYPES.get(tensor.datatype)
    if dtype is None:
        raise wrong(tensor, f"its datatype is none of {', '.join(DATATYPES)}")
    size = _size(tensor)
    try:
        values = msgspec.json.decode(tensor.data, type=_LISTS[dtype.kind])
    except (msgspec.MsgspecError, ValueError):
        values = _unusual(tensor, dtype.kind)
    if len(values) != size:
        raise wrong(tensor, f"its shape needs {size} elements, its data has {len(values)}")
    return _array(tensor, values, dtype).reshape(tensor.shape)


def wrong(tensor: Tensor, what: str) -> RefusedError:
    """Refusal of one input, with what is wrong about it."""
    return misfit(f"Input {tensor.name[:100]!r}: {what}.")


def _size(tensor: Tensor) -> int:
    shape = tensor.shape
    if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 0:
        raise wrong(tensor, f"its shape is not 1 to {MAX_DIMENSIONS} numbers from 0 up")
    if math.prod(filter(None, shape)) > MAX_ELEMENTS:
        raise wrong(tensor, "its shape is too large")
    return math.prod(shape)


def _array(tensor: Tensor, values: list[Any], dtype: np.dtype) -> np.ndarray:
    try:
        if dtype.kind != "f" or dtype.itemsize == 8:
            return np.array(values, dtype=dtype)
        exact = np.array(values, dtype=float)
        with np.errstate(over="raise"):
            return exact.astype(dtype)
    except (OverflowError, FloatingPointError):
        raise wrong(tensor, f"a number does not fit into {tensor.datatype}") from None


def _unusual(tensor: Tensor, kind: str) -> list[Any]:
    """The flat elements of data that is nested, or holds what JSON has no form for."""
    try:
        values = msgspec.json.decode(tensor.data)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise wrong(tensor, "its data cannot be read") from None
    if not isinstance(values, list):
        raise wrong(tensor, "its data is not a list")
    try:
        return [_element(value, kind) for value in _flat(tensor, values)]
    except (ValueError, KeyError, TypeError):
        raise wrong(tensor, f"an element of its data is not {tensor.datatype}") from None


def _flat(tensor: Tensor, values: list[Any]) -> list[Any]:
    """Nested data is nested as the shape says, in all its parts."""
    if not any(isinstance(value, list) for value in values):
        return values
    parts = [values]
    for length in tensor.shape:
        if not all(isinstance(part, list) and len(part) == length for part in parts):
            raise wrong(tensor, "its nested data does not have its shape")
        parts = list(chain.from_iterable(parts))
    return parts


def _element(value: Any, kind: str) -> Any:
    """The value as numpy takes it. Raises ValueError, KeyError or TypeError when it is not of that
    kind."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "f":
        return value if number else _NOT_FINITE[value]
    if kind in "iu" and number and int(value) == value:
        return int(value)
    if kind == "b" and (isinstance(value, bool) or (number and value in (0, 1))):
        return value
    if kind == "O" and (value is None or isinstance(value, str)):
        return value
    raise ValueError
