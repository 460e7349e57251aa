"""Refuses requests of which MLflow would silently change something, where `serving.strict` says so.

Held against the signature is the body as it was written, before MLflow's own code reads it: values,
by changes.py; columns, params and parts of the body that would be ignored; records that would be
filled up, or take values from each other; CSV whose rows are longer or shorter than its header.
What MLflow refuses by itself is left to it. Rows count from 0.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from mlflow.models import Model
from mlflow.pyfunc import scoring_server
from mlflow.types import DataType
from mlflow.types.schema import Array

from model_server.errors import RefusedError
from model_server.scoring.changes import (
    change,
    change_in_csv,
    check_value,
    misread,
    number,
    quoted,
    refused,
)
from model_server.scoring.table import Table

_FRAMES = ("dataframe_split", "dataframe_records")
_FORMATS = (*_FRAMES, "inputs", "instances")


class StrictBodies:
    """Check of the requests of one model."""

    def __init__(self, metadata: Model) -> None:
        schema = metadata.get_input_schema()
        params = metadata.get_params_schema()
        specs = schema.inputs if schema else []
        self._has_signature = bool(specs)
        self._is_tensor = bool(specs) and schema.is_tensor_spec()
        self._is_named = bool(specs) and schema.has_input_names()
        self._kinds = {
            spec.name if self._is_named else at: spec.type for at, spec in enumerate(specs)
        }
        # From type hints: MLflow gives the model what JSON holds, a value or an object a row.
        self._is_by_type_hint = metadata._is_signature_from_type_hint()
        self._optional = set(schema.optional_input_names()) if self._is_named else set()
        self._params = {param.name: param.dtype for param in params.params} if params else {}

    def check(self, body: bytes, content_type: str) -> None:
        """Raises RefusedError 400."""
        check = {
            scoring_server.CONTENT_TYPE_JSON: self._json,
            scoring_server.CONTENT_TYPE_CSV: self._csv,
            scoring_server.CONTENT_TYPE_PARQUET: self._parquet,
        }.get(content_type.partition(";")[0].strip())
        if check is None:
            return
        try:
            check(body)
        except RefusedError:
            raise
        except Exception:  # of whatever form it is: what was not understood may be changed
            raise refused("The body is not of a form that the signature allows.") from None

    def _json(self, body: bytes) -> None:
        try:
            content = json.loads(body, parse_float=number)
        except ValueError:
            return  # MLflow says so, by the same decoder
        formats = [name for name in _FORMATS if name in content]
        if len(formats) != 1:
            return
        (name,) = formats
        if ignored := content.keys() - {name, "params"}:
            raise refused(f"{_listed(ignored)} would be ignored: no part of a request's body.")
        self._check_params(content.get("params") or {})
        table = content[name]
        if name == "dataframe_split":
            self._split(table)
        elif self._is_by_type_hint:
            (kind,) = self._kinds.values()
            for at, value in enumerate(table):
                check_value(value, kind, 0, at, in_frame=True)
        elif isinstance(table, list) and table and isinstance(table[0], dict):
            self._records(table, name)
        elif self._has_signature:
            self._columns(table)

    def _check_params(self, params: dict[str, Any]) -> None:
        if ignored := params.keys() - self._params.keys():
            raise refused(f"Params {_listed(ignored)} would be ignored: the signature has none.")
        for name, value in params.items():
            if value is None:
                raise refused(f"Param {quoted(name)} is null, which would replace its default.")
            values = value if isinstance(value, list) else [value]
            for one in values:
                kind = self._params[name]
                # Texts reach the model as they are, as in frames.
                if reason := change(one, kind, in_frame=kind == DataType.string):
                    raise refused(f"Param {quoted(name)} is {reason}.")

    def _split(self, table: dict[str, Any]) -> None:
        rows, names = table["data"], table.get("columns")
        if names is None:
            names = range(len(rows[0]) if rows and isinstance(rows[0], list) else 1)
        self._known(names)
        kinds = [self._kind(name, at) for at, name in enumerate(names)]
        for at, row in enumerate(rows):
            row = row if isinstance(row, list) else [row]
            if len(row) != len(kinds):
                raise refused(f"Row {at} has {len(row)} values for {len(kinds)} columns.")
            for name, kind, value in zip(names, kinds, row, strict=True):
                check_value(value, kind, name, at, in_frame=True)

    def _records(self, records: list[dict[str, Any]], form: str) -> None:
        names = dict.fromkeys(name for record in records for name in record)
        self._known(names)
        kinds = {name: self._kind(name, at) for at, name in enumerate(names)}
        for at, record in enumerate(records):
            missing = [name for name in names if name not in record]
            if form != "instances":
                missing = [name for name in missing if name not in self._optional]
            if missing:
                raise refused(
                    f"Row {at} has no {_listed(missing)}, which another row has, "
                    + ("and would take another row's." if form == "instances" else "as if null.")
                )
            for name, value in record.items():
                check_value(value, kinds[name], name, at, in_frame=form in _FRAMES)

    def _columns(self, table: object) -> None:
        """An object of columns, one column's values, or rows of columns without names."""
        if isinstance(table, dict):
            self._known(table)
            for name, values in table.items():
                kind = self._kind(name, 0)
                is_one = not isinstance(values, list) or (
                    isinstance(kind, Array) and not any(isinstance(one, list) for one in values)
                )
                for at, value in enumerate([values] if is_one else values):
                    check_value(value, kind, name, at)
            return
        kinds = list(self._kinds.values())
        for at, row in enumerate(table if isinstance(table, list) else [table]):
            if self._is_tensor or len(kinds) == 1:
                check_value(row, kinds[0], next(iter(self._kinds)), at)
                continue
            if len(row) > len(kinds):
                raise refused(f"Row {at} has {len(row)} values for {len(kinds)} columns.")
            for column, (value, kind) in enumerate(zip(row, kinds, strict=False)):
                check_value(value, kind, column, at)
                # MLflow converts all of them to the first one's type, and only then to their own.
                check_value(value, kinds[0], column, at)

    def _csv(self, body: bytes) -> None:
        if not self._has_signature:
            return
        text = body.decode()
        reader = csv.reader(io.StringIO(text, newline=None))
        names = next(reader)
        if len(set(names)) < len(names):
            raise refused("Two columns have one name.")
        self._known(names)
        kinds = [self._kind(name, at) for at, name in enumerate(names)]
        for at, row in enumerate(reader):
            if len(row) != len(names):
                raise refused(f"Row {at} has {len(row)} values for {len(names)} columns.")
            for name, kind, value in zip(names, kinds, row, strict=True):
                if reason := change_in_csv(value, kind):
                    raise misread(name, at, reason)

    def _parquet(self, body: bytes) -> None:
        from pyarrow import parquet  # which a model's own environment may be without

        schema = parquet.read_schema(io.BytesIO(body))
        index = (schema.pandas_metadata or {}).get("index_columns", [])
        self._known([name for name in schema.names if name not in index])

    def _kind(self, name: object, at: int) -> object:
        if self._is_named:
            return self._kinds.get(name)
        if self._is_tensor:  # whose columns are all of its type, by any names
            return self._kinds[0]
        return self._kinds.get(at)

    def _known(self, names: Iterable[object]) -> None:
        names = list(names)
        if self._is_named and (ignored := [name for name in names if name not in self._kinds]):
            raise refused(f"Columns {_listed(ignored)} would be ignored: the signature has none.")
        if self._has_signature and not self._is_tensor and len(names) > len(self._kinds):
            raise refused(f"There are {len(names)} columns, the model takes {len(self._kinds)}.")


def may_have_changed(table: Table) -> bool:
    """Whether floats are so large that they may have been written as other numbers: all else is as
    it was written, in a table that conversion.py read."""
    arrays = [table.block] if table.block is not None else table.columns
    floats = [array for array in arrays if array.dtype.kind == "f"]
    return any((np.abs(array) >= _exact(array.dtype)).any() for array in floats)


def _exact(dtype: np.dtype) -> int:
    """The integer up to which a float holds all of them."""
    return 1 << (int(np.finfo(dtype).nmant) + 1)


def _listed(names: Iterable[object]) -> str:
    return ", ".join(sorted(map(quoted, names))[:20])
