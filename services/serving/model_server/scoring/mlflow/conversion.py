"""Rows from a request's JSON, by decoders compiled once for a signature.

Taken is only what MLflow's own parser and schema enforcement would turn into the very same rows;
tests/unit/serving/scoring/mlflow/test_conversion.py holds this against MLflow. Anything else is
declined, and MLflow's own code has the last word on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from mlflow.models.utils import _enforce_params_schema
from mlflow.types import ColSpec, DataType, ParamSchema, Schema, TensorSpec
from msgspec import UNSET, Raw, Struct, UnsetType

from model_server.scoring.call import Params
from model_server.scoring.table import Table

EXACT = 2**53
"""Larger integers become a float32 by another rounding in pandas than by way of a double."""


PANDAS = pd.__version__.partition(".")[0]
HELD_AGAINST = ("2", "3")
"""Major versions of pandas; a model's own environment may have another one."""


class DeclinedError(Exception):
    """Only MLflow's own code can tell what this is."""


_ERRORS = (DeclinedError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError)


class Converter:
    """Reads the JSON bodies of one signature."""

    def __init__(self, rows: ColumnFormats | TensorFormats | NamedTensorFormats) -> None:
        formats = {name: kind | UnsetType for name, kind in rows.formats.items()}
        fields = [(name, kind, UNSET) for name, kind in formats.items()]
        body = _object([*fields, ("params", Raw, Raw())])
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(body).decode
        self._tables: tuple[tuple[str, Callable[[Any], Table]], ...] = tuple(
            (name, getattr(rows, name)) for name in formats
        )
        self.specimen = rows.specimen
        """A table of one row that the signature allows."""

    def read(self, body: bytes) -> tuple[Table, bytes] | None:
        """The rows, and the JSON of `params`, empty without; None when MLflow is to read it."""
        if b"\\u0000" in body:  # numpy's strings lose them at their end
            return None
        try:
            content = self._decode(body)
            chosen = None
            for name, make in self._tables:
                if (value := getattr(content, name)) is not UNSET:
                    if chosen is not None:
                        return None
                    chosen = make, value
            if chosen is None:
                return None
            table = chosen[0](chosen[1])
        except _ERRORS:
            return None
        return (table, bytes(content.params)) if table.rows else None


def compiled(schema: Schema | None) -> Converter | None:
    """None for a signature that only MLflow's own code reads."""
    if schema is None or not schema.inputs or PANDAS not in HELD_AGAINST:
        return None
    try:
        if not schema.is_tensor_spec():
            return Converter(ColumnFormats(schema))
        if schema.has_input_names():
            return Converter(NamedTensorFormats(schema))
        return Converter(TensorFormats(schema))
    except (DeclinedError, ValueError):  # ValueError: names that msgspec cannot take
        return None


def params_reader(schema: ParamSchema | None) -> Callable[[bytes], Params | None]:
    """Reads the JSON of `params` as what the model is given. Raises DeclinedError."""

    def read(sent: bytes) -> Any:
        if schema is None:
            if sent:  # MLflow ignores them, with a warning
                raise DeclinedError
            return None
        try:
            return _enforce_params_schema(json.loads(sent) if sent else None, schema)
        except Exception:
            raise DeclinedError from None

    return read


class _ScalarType:
    """One of a signature's scalar types."""

    def __init__(self, dtype: type, json_type: Any, in_frames: Any = None) -> None:
        self.dtype = np.dtype(dtype)
        self.json_type = json_type
        self.in_frames = in_frames or json_type
        """JSON type in dataframe_split and dataframe_records."""
        self.specimen = ["a"] if json_type is str else [1]

    def array(self, values: Sequence[Any]) -> np.ndarray:
        """One column, or all of them. Raises ValueError, OverflowError or DeclinedError."""
        if self.dtype == np.float32:
            exact = np.array(values, dtype=np.float64)
            if (np.abs(exact) >= EXACT).any():
                raise DeclinedError
            return exact.astype(np.float32)
        if self.dtype == object and all(value is None for value in values):
            raise DeclinedError  # pandas cannot see that these are strings
        return np.array(values, dtype=self.dtype)


_SCALARS: dict[object, _ScalarType] = {
    DataType.double: _ScalarType(np.float64, float | None),
    DataType.float: _ScalarType(np.float32, float | None),
    DataType.long: _ScalarType(np.int64, int),
    DataType.integer: _ScalarType(np.int32, int),
    DataType.boolean: _ScalarType(np.bool_, bool),
    DataType.string: _ScalarType(object, str, in_frames=str | None),
}
_DECLINED_IN_RECORDS_OF_INPUTS = {DataType.float, DataType.integer}
"""MLflow makes a frame of doubles and longs there, and refuses it."""
if PANDAS == "2":  # has no type of strings: a frame keeps the numpy.str_ that MLflow makes there
    _DECLINED_IN_RECORDS_OF_INPUTS.add(DataType.string)
_ORDERS = 16
"""Orders of columns that decoders are kept for."""


class ColumnFormats:
    """The rows of a signature of named columns."""

    def __init__(self, schema: Schema) -> None:
        # Names that are numbers are of a frame made of an array: no JSON object has such keys.
        self._names = [name for name in schema.input_names() if isinstance(name, str)]
        types = schema.input_types()
        if not schema.has_input_names() or len(set(self._names)) != len(types):
            raise DeclinedError
        try:
            self._cells = [_SCALARS[kind] for kind in types]
        except (KeyError, TypeError):
            raise DeclinedError from None
        self._index = pd.Index(self._names)
        self._cell = self._cells[0]
        self._is_mixed = len(set(types)) > 1
        self._is_block = not self._is_mixed and self._cell.dtype != object
        self._decoders: dict[tuple[str, ...], Callable[[Raw], list[Any]]] = {}

        data = Raw if self._is_mixed else _list_of(_list_of(self._cell.in_frames))
        split = [("columns", list[str]), ("data", data), ("index", list[int] | None, None)]
        plain = [cell.json_type for cell in self._cells]
        self._record = _struct(self._names, plain)
        self._by_column: Any = _struct(self._names, [_list_of(kind) for kind in plain])
        element: Any = self._record
        if len(plain) == 1:
            element |= plain[0]
        self._takes_records_as_inputs = not _DECLINED_IN_RECORDS_OF_INPUTS.intersection(types)
        self.formats = {
            "dataframe_split": _object(split),
            "dataframe_records": _list_of(_struct(self._names, [c.in_frames for c in self._cells])),
            "inputs": self._by_column | _list_of(element),
            "instances": self._by_column | _list_of(element),
        }

    def dataframe_split(self, split: Any) -> Table:
        """Columns in any order."""
        names, rows = split.columns, split.data
        order = None
        if names != self._names:
            if len(names) != len(self._names):
                raise DeclinedError
            order = [names.index(name) for name in self._names]
        if self._is_mixed:
            rows = self._decoder(tuple(names))(rows)
        if split.index is not None and split.index != list(range(len(rows))):
            raise DeclinedError
        return self._of_rows(rows, order)

    def dataframe_records(self, records: list[Struct]) -> Table:
        """One object a row."""
        return self._of_rows([msgspec.structs.astuple(record) for record in records])

    def inputs(self, data: Struct | list[Any]) -> Table:
        """The same as `instances`, but for records of types that MLflow refuses there."""
        is_records = isinstance(data, list) and data and isinstance(data[0], self._record)
        if is_records and not self._takes_records_as_inputs:
            raise DeclinedError
        return self.instances(data)

    def instances(self, data: Struct | list[Any]) -> Table:
        """An object of columns, a list of records, or the values of the only column."""
        if not isinstance(data, list):
            return self._of_columns(msgspec.structs.astuple(data))
        records = sum(isinstance(one, self._record) for one in data)
        if not records:
            return self._of_columns([data])  # the type of `data` says that there is but one
        if records < len(data):
            raise DeclinedError
        return self._of_rows([msgspec.structs.astuple(record) for record in data])

    def specimen(self) -> Table:
        """A row that the signature allows."""
        if self._is_block:
            return Table(self._index, block=np.ones((1, len(self._names)), self._cell.dtype))
        return Table(self._index, columns=[cell.array(cell.specimen) for cell in self._cells])

    def _decoder(self, names: tuple[str, ...]) -> Callable[[Raw], list[Any]]:
        """Decodes rows whose values are in this order."""
        decoder = self._decoders.get(names)
        if decoder is None:
            if len(self._decoders) == _ORDERS:
                self._decoders.clear()
            cells = dict(zip(self._names, self._cells, strict=True))
            row = GenericAlias(tuple, tuple(cells[name].in_frames for name in names))
            decoder = self._decoders[names] = msgspec.json.Decoder(_list_of(row)).decode
        return decoder

    def _of_rows(self, rows: Sequence[Any], order: list[int] | None = None) -> Table:
        """`order` says where in a row each of the signature's columns is."""
        if not self._is_block:
            columns = list(zip(*rows, strict=True))
            if len(columns) != len(self._names):
                raise DeclinedError
            return self._of_columns([columns[at] for at in order] if order else columns)
        block = self._cell.array(rows)
        if block.shape[1:] != (len(self._names),):
            raise DeclinedError
        return Table(self._index, block=block[:, order] if order else block)

    def _of_columns(self, columns: Sequence[Any]) -> Table:
        if self._is_block:
            return Table(self._index, block=np.ascontiguousarray(self._cell.array(columns).T))
        arrays = [cell.array(values) for cell, values in zip(self._cells, columns, strict=True)]
        if len({len(array) for array in arrays}) != 1:
            raise DeclinedError
        return Table(self._index, columns=arrays)


_ELEMENTS: dict[str, Any] = {"f": float | None, "i": int, "u": int, "b": bool, "U": str}
"""JSON types by the kind of a tensor's dtype."""


class _TensorType:
    """One tensor of a signature."""

    def __init__(self, spec: ColSpec | TensorSpec) -> None:
        if (
            not isinstance(spec, TensorSpec)
            or spec.type.kind not in _ELEMENTS
            or spec.shape[:1] != (-1,)
        ):
            raise DeclinedError
        self._dtype = spec.type
        self._shape = spec.shape[1:]
        self.row_type = _ELEMENTS[spec.type.kind]
        for _ in self._shape:
            self.row_type = _list_of(self.row_type)

    def array(self, rows: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Raises ValueError, OverflowError or DeclinedError."""
        array = np.array(rows, dtype=self._dtype)  # as MLflow does
        shape = array.shape[1:]
        if len(shape) != len(self._shape):
            raise DeclinedError
        if any(length not in (-1, own) for own, length in zip(shape, self._shape, strict=True)):
            raise DeclinedError
        return array

    def specimen(self) -> np.ndarray:
        """A row that the signature allows."""
        return np.ones((1, *map(abs, self._shape)), dtype=self._dtype)


class TensorFormats:
    """The rows of a signature of one tensor without a name."""

    def __init__(self, schema: Schema) -> None:
        self._tensor = _TensorType(schema.inputs[0])
        rows = _list_of(self._tensor.row_type)
        self.formats = {"inputs": rows, "instances": rows}

    def inputs(self, rows: Sequence[Any] | np.ndarray) -> Table:
        """Lists of lists, as deep as the tensor."""
        return Table((), block=self._tensor.array(rows), is_tensor=True)

    instances = inputs

    def specimen(self) -> Table:
        """A row that the signature allows."""
        return self.inputs(self._tensor.specimen())


class NamedTensorFormats:
    """The rows of a signature of tensors with names."""

    def __init__(self, schema: Schema) -> None:
        names = list(map(str, schema.input_names()))
        if len(set(names)) != len(names):
            raise DeclinedError
        self._names = names
        self._tensors = [_TensorType(spec) for spec in schema.inputs]
        rows = [tensor.row_type for tensor in self._tensors]
        by_name: Any = _struct(names, [_list_of(row) for row in rows])
        self.formats = {"inputs": by_name, "instances": by_name | _list_of(_struct(names, rows))}

    def inputs(self, tensors: Struct) -> Table:
        """An object of tensors."""
        return self._of(msgspec.structs.astuple(tensors))

    def instances(self, data: Struct | list[Any]) -> Table:
        """An object of tensors, or one object a row."""
        if not isinstance(data, list):
            return self.inputs(data)
        return self._of(list(zip(*map(msgspec.structs.astuple, data), strict=True)))

    def specimen(self) -> Table:
        """A row that the signature allows."""
        return self._of([tensor.specimen() for tensor in self._tensors])

    def _of(self, tensors: Sequence[Any]) -> Table:
        arrays = [tensor.array(rows) for tensor, rows in zip(self._tensors, tensors, strict=True)]
        if len({len(array) for array in arrays}) != 1:
            raise DeclinedError
        return Table(self._names, columns=arrays, is_tensor=True)


def _list_of(kind: Any) -> Any:
    return GenericAlias(list, (kind,))


def _struct(names: list[str], types: list[Any]) -> type[Struct]:
    """An object of exactly these fields. Raises ValueError for names that msgspec cannot take."""
    fields = [f"f{position}" for position in range(len(names))]
    rename = dict(zip(fields, names, strict=True))
    return _object(list(zip(fields, types, strict=True)), rename)


def _object(fields: list[Any], rename: dict[str, str] | None = None) -> type[Struct]:
    return msgspec.defstruct("Object", fields, rename=rename, forbid_unknown_fields=True, gc=False)
