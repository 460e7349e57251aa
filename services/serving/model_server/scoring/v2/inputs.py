"""Inputs that a signature asks for, from a request's tensors.

| signature     | tensors                                                                         |
| ------------- | ------------------------------------------------------------------------------- |
| columns       | one a column, of shape [n] or [n, 1]; or one of another name, [n, columns]      |
| named tensors | by name                                                                         |
| one tensor    | one, of any name                                                                |
| none          | one is an array, several are a frame's columns; with content_type "pd" also one |

Values are converted where that changes none of them, but for the rounding to floats: also integers
beyond 2**53 lose digits where the model takes doubles. Whatever does not fit is refused with a 422:
MLflow ignores columns that it does not know, here they are a mistake.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from mlflow.types import DataType, Schema
from mlflow.types.schema import ColSpec, TensorSpec

from model_server.errors import RefusedError
from model_server.scoring.table import Table
from model_server.scoring.v2.tensors import Tensor, misfit, read, wrong

_NUMBERS = (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)


class ColumnInputs:
    """Reads the tensors that a signature of columns asks for."""

    def __init__(self, schema: Schema) -> None:
        self._specs = [spec for spec in schema.inputs if isinstance(spec, ColSpec)]
        self._is_named = schema.has_input_names()
        names = schema.input_names()
        self._names: Sequence[str | int] = names if self._is_named else range(len(names))
        self._index = pd.Index(self._names)
        self._known = set(self._names)
        self._by_text = {str(name): name for name in self._names if self._is_named}
        """Tensors' names are texts, those of a frame made of an array are numbers."""
        self._required = set(schema.required_input_names()) if self._is_named else self._known
        types = schema.input_types()
        first = types[0]
        self._is_block = len(set(map(repr, types))) == 1 and first in _NUMBERS
        self._is_plain = all(isinstance(kind, DataType) for kind in types)
        self._dtype = np.dtype(object)
        if self._is_block and isinstance(first, DataType):
            self._dtype = first.to_numpy()

    def table(self, tensors: list[Tensor]) -> Table | None:
        """None where only `frame` will do: objects and lists, missing columns, nothing at all."""
        if not self._is_plain:
            return None
        if self._is_one_block(tensors):
            array = read(tensors[0]).reshape(-1, len(self._specs))
            if self._is_block and len(array):
                return Table(self._index, block=_number(tensors[0], array, self._dtype))
        columns = self._columns(tensors)
        if len(columns) != len(self._known) or not len(next(iter(columns.values()))):
            return None
        arrays: list[Any] = [columns[name] for name in self._names]
        if self._is_block:
            return Table(self._index, block=np.stack(arrays, axis=1))
        if any(array.dtype == object and not any(array != None) for array in arrays):  # noqa: E711
            return None  # as in a frame, nobody could tell that these are strings
        return Table(self._index, columns=arrays)

    def frame(self, tensors: list[Tensor]) -> pd.DataFrame:
        """A frame of the columns that came. Raises RefusedError."""
        return pd.DataFrame(self._columns(tensors))

    def _is_one_block(self, tensors: list[Tensor]) -> bool:
        if len(tensors) != 1 or not self._is_plain or tensors[0].name in self._by_text:
            return False
        shape, width = tensors[0].shape, len(self._specs)
        if shape[1:] != [width] and not (len(shape) == width == 1):
            raise wrong(
                tensors[0],
                f"no column has this name, and its shape is not [n, {width}], one for each column",
            )
        return True

    def _columns(self, tensors: list[Tensor]) -> dict[str | int, np.ndarray | list[Any]]:
        if self._is_one_block(tensors):
            array = read(tensors[0]).reshape(-1, len(self._specs))
            return {
                name: _column(tensors[0], array[:, at], self._specs[at])
                for at, name in enumerate(self._names)
            }
        if self._is_named:
            by_name = {self._by_text.get(tensor.name, tensor.name): tensor for tensor in tensors}
        else:
            by_name = dict(enumerate(tensors))
        if missing := [name for name in self._names if name in self._required - by_name.keys()]:
            raise misfit(f"Inputs are missing: {_listed(missing)}.")
        if unknown := by_name.keys() - self._known:
            raise misfit(f"The model has no such inputs: {_listed(sorted(map(str, unknown)))}.")
        columns = {
            name: _column(by_name[name], read(by_name[name]), spec)
            for name, spec in zip(self._names, self._specs, strict=True)
            if name in by_name
        }
        if len(set(map(len, columns.values()))) > 1:
            raise _uneven()
        return columns


class TensorInputs:
    """Reads the tensors that a signature of tensors asks for."""

    def __init__(self, schema: Schema) -> None:
        self._specs = [spec for spec in schema.inputs if isinstance(spec, TensorSpec)]
        self._names = list(map(str, schema.input_names())) if schema.has_input_names() else None
        self._is_rows = all(spec.shape[:1] == (-1,) for spec in self._specs)

    def table(self, tensors: list[Tensor]) -> Table | None:
        """None where the first dimensions are not rows, or there is no row."""
        arrays = self._arrays(tensors)
        if not self._is_rows or len(set(map(len, arrays))) > 1 or not len(arrays[0]):
            return None
        if self._names:
            return Table(self._names, columns=arrays, is_tensor=True)
        return Table((), block=arrays[0], is_tensor=True)

    def data(self, tensors: list[Tensor]) -> np.ndarray | dict[str, np.ndarray]:
        """What the model is given: one array, or a dict of them. Raises RefusedError."""
        arrays = self._arrays(tensors)
        return dict(zip(self._names, arrays, strict=True)) if self._names else arrays[0]

    def _arrays(self, tensors: list[Tensor]) -> list[np.ndarray]:
        if self._names is None:
            if len(tensors) != 1:
                raise misfit(f"The model takes one input, not {len(tensors)}.")
            return [_tensor(tensors[0], self._specs[0])]
        by_name = {tensor.name: tensor for tensor in tensors}
        if missing := [name for name in self._names if name not in by_name]:
            raise misfit(f"Inputs are missing: {_listed(missing)}.")
        if unknown := by_name.keys() - set(self._names):
            raise misfit(f"The model has no such inputs: {_listed(sorted(unknown))}.")
        return [
            _tensor(by_name[name], spec)
            for name, spec in zip(self._names, self._specs, strict=True)
        ]


def unsigned(tensors: list[Tensor], content_type: object) -> object:
    """What a model without a signature is given: an array or a list, or a frame."""
    if len(tensors) > 1 or content_type == "pd":
        columns = {tensor.name: _squeezed(_free(tensor)) for tensor in tensors}
        try:
            return pd.DataFrame(columns)
        except ValueError:
            raise misfit(
                "The inputs differ in their first dimension, the number of rows."
            ) from None
    array = _free(tensors[0])
    return array.tolist() if tensors[0].content_type in ("str", "json") else array


def _free(tensor: Tensor) -> np.ndarray:
    """The array, its strings converted as its content type says."""
    array = read(tensor)
    if array.dtype == object and (convert := _STRINGS.get(tensor.content_type)):
        return convert(tensor, array)
    return array


def _squeezed(array: np.ndarray) -> np.ndarray | list[Any]:
    """One value a row; a list where rows have more."""
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    return array if array.ndim == 1 else array.tolist()


def _column(tensor: Tensor, array: np.ndarray, spec: ColSpec) -> np.ndarray | list[Any]:
    kind = spec.type
    if not isinstance(kind, DataType):
        objects: Any = _from_json(tensor, array) if array.dtype == object else array
        whole: list[Any] = objects.tolist()
        return whole
    values = _squeezed(array)
    if isinstance(values, list):
        raise wrong(tensor, "its shape is neither [n] nor [n, 1]")
    if kind in _NUMBERS:
        return _number(tensor, values, kind.to_numpy())
    if values.dtype != object:
        raise wrong(tensor, f"the model takes {kind.name} there, as BYTES, not {tensor.datatype}")
    content_type = tensor.content_type
    if kind == DataType.datetime:
        return _datetime(tensor, values)
    if kind == DataType.binary:
        return (_encoded if content_type == "str" else _base64)(tensor, values)
    return values


def _tensor(tensor: Tensor, spec: TensorSpec) -> np.ndarray:
    array = read(tensor)
    expected = spec.shape
    if array.ndim != len(expected) or any(
        length not in (-1, own) for length, own in zip(expected, array.shape, strict=True)
    ):
        raise wrong(tensor, f"its shape is {list(array.shape)}, the model takes {list(expected)}")
    dtype = spec.type
    if dtype.kind in "biuf":
        return _number(tensor, array, dtype)
    if array.dtype != object:
        if dtype.kind == "O":
            return array.astype(object)
        raise wrong(tensor, f"the model takes {dtype.name} there, as BYTES, not {tensor.datatype}")
    if dtype.kind == "M":
        return _datetime(tensor, array).astype(dtype)
    if dtype.kind == "S":
        encode = _encoded if tensor.content_type == "str" else _base64
        return encode(tensor, array).astype(bytes)
    return array.astype(str) if dtype.kind == "U" else array


def _number(tensor: Tensor, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.dtype == dtype:
        return array
    if array.dtype == object:
        raise wrong(tensor, f"the model takes {dtype.name} there, not BYTES")
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
    if dtype.kind == "f":
        fits = not (np.isinf(converted) & np.isfinite(array)).any()
    else:
        fits = (converted == array).all()
    if not fits:
        raise wrong(tensor, f"the model takes {dtype.name} there, which holds not all its values")
    return converted


def _datetime(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    """Zones become UTC, as the model's type has none."""
    try:
        times = pd.to_datetime(array.ravel(), format="ISO8601", utc=True)
        values: np.ndarray = times.tz_localize(None).as_unit("ns").to_numpy()
        return values.reshape(array.shape)
    except (ValueError, OverflowError):
        raise wrong(tensor, "an element of its data is not a time in ISO 8601") from None


def _base64(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    return _each(tensor, array, lambda text: base64.b64decode(text, validate=True), "base64")


def _encoded(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    return _each(tensor, array, str.encode, "text")


def _from_json(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    return _each(tensor, array, msgspec.json.decode, "JSON")


def _each(
    tensor: Tensor, array: np.ndarray, convert: Callable[[str], object], what: str
) -> np.ndarray:
    converted = np.empty(array.size, dtype=object)
    try:
        for at, text in enumerate(array.ravel()):
            converted[at] = None if text is None else convert(text)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise wrong(tensor, f"an element of its data is not {what}") from None
    return converted.reshape(array.shape)


_STRINGS: dict[str | None, Callable[[Tensor, np.ndarray], np.ndarray]] = {
    "base64": _base64,
    "datetime": _datetime,
    "json": _from_json,
}


def _uneven() -> RefusedError:
    return misfit("The inputs differ in their first dimension, the number of rows.")


def _listed(names: Sequence[object]) -> str:
    return ", ".join(str(name) for name in names[:20])
