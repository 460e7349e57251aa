"""Learn a schema from a good file, and enforce one on the next; with pandera, on blocks of rows."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.compute as pc
from pandera.errors import SchemaErrors

from column_profile import KINDS, WHOLE_BELOW, Column, as_floats, matching
from common.errors import BadInput, first_line
from csv_records import Block
from csv_source import local_file, shown
from findings import Findings, quoted

ROOM = 0.5  # of a column's range, by which the next file may exceed it at each end
REPEATS = 10  # times that a column's values must repeat on average to be categories
SUFFIXES = (".json", ".yaml", ".yml")


def learn(columns: Sequence[Column]) -> pa.DataFrameSchema:
    """A schema that the columns of the next file presumably fit, too."""
    named = {column.name: column for column in reversed(columns)}  # the first of a name
    in_order = {column.name: named[column.name] for column in columns}
    return pa.DataFrameSchema(
        {name: learn_column(column) for name, column in in_order.items()}, strict=True, coerce=True
    )


def learn_column(column: Column) -> pa.Column:
    """Type, whether values may be missing, and range or categories."""
    there, kind, checks, dtype = column.rows - column.missing, column.kind(), [], "str"
    if kind == "number":
        dtype = "Int64" if column.whole else "float64"
        if 0 < column.most - column.least < np.inf:
            checks = [pa.Check.in_range(*with_room(column.least, column.most, column.whole))]
    elif kind == "date":
        checks = [pa.Check.str_matches(KINDS["date"])]
    elif column.categories and there >= REPEATS * len(column.categories):
        checks = [pa.Check.isin(sorted(column.categories))]
    return pa.Column(dtype, checks, nullable=column.missing > 0 or not there)


def with_room(least: float, most: float, whole: bool) -> tuple[float, float]:
    """A range widened at both ends, save that what was never negative stays so."""
    room = ROOM * (most - least)
    low, high = least - room, most + room
    if low < 0 <= least:
        low = 0.0
    if whole:
        return int(np.floor(low)), int(np.ceil(high))
    return float(f"{low:.6g}"), float(f"{high:.6g}")


def as_text(schema: pa.DataFrameSchema, suffix: str) -> str:
    """The schema as a file of a suffix holds it."""
    if suffix == ".json":
        return json.dumps(json.loads(schema.to_json()), indent=1)
    return schema.to_yaml()


def check_suffix(file: str) -> None:
    """Raises BadInput where a schema's file is named neither YAML nor JSON."""
    if Path(file).suffix.lower() not in SUFFIXES:
        raise BadInput(f"save_schema: {file!r} does not end in {', '.join(SUFFIXES)}")


def save(schema: pa.DataFrameSchema, file: str) -> None:
    """Write a schema. Raises BadInput where that cannot be."""
    path = Path(file)
    try:
        path.write_text(as_text(schema, path.suffix.lower()), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"save_schema: {file!r} cannot be written: {first_line(error)}") from error


def load(name: str) -> pa.DataFrameSchema:
    """Read a schema from a file or URI, one of this project's or one of your own for pandas.

    Raises BadInput where it is none.
    """
    try:
        with local_file(name) as path:
            schema = pa.DataFrameSchema.from_yaml(path.read_text(encoding="utf-8"))  # or JSON
    except BadInput as error:
        raise BadInput(f"schema: {error.message}") from error
    except Exception as error:  # of pandera and of YAML, which have many
        raise BadInput(f"schema: {shown(name)!r} is none: {first_line(error)}") from error
    if not isinstance(schema, pa.DataFrameSchema) or not schema.columns:
        raise BadInput(f"schema: {shown(name)!r} is none: it names no columns")
    schema.coerce = True  # since cells have no types
    schema.drop_invalid_rows = False  # which would hide what is to be found
    return schema


class Enforcement:
    """Compares blocks with a schema; what a cell violates first is a finding.

    Rows are looked at a block at a time: what a schema says of all rows together (`unique`) is
    held against each block alone.
    """

    def __init__(self, schema: pa.DataFrameSchema, header: list[str], findings: Findings) -> None:
        self.schema, self.findings = schema, findings
        self.places = {name: place for place, name in reversed(list(enumerate(header)))}
        self._said: set[tuple[str, str]] = set()  # of whole columns

    def check(self, block: Block) -> None:
        """Compare the rows of a block."""
        noted: set[tuple[int, str]] = set()
        frame = {}
        for name in sorted(self.places, key=self.places.__getitem__):
            cells, column = block.cells[self.places[name]], self.schema.columns.get(name)
            type_ = str(column.dtype).lower() if column is not None else ""
            if type_.startswith(("int", "uint", "float")):
                values, wrong = as_numbers(cells, whole=not type_.startswith("float"))
                frame[name] = pd.Series(values, index=block.rows)
                for place in np.flatnonzero(wrong):
                    row = int(block.rows[place])
                    noted.add((row, name))
                    kind = "number" if type_.startswith("float") else "whole number"
                    self._add(row, name, f"{quoted(cells[place])} is not a {kind}")
            else:
                frame[name] = pd.Series(cells.to_pandas().to_numpy(), index=block.rows, dtype="str")
        try:
            self.schema.validate(pd.DataFrame(frame, index=block.rows), lazy=True)
        except SchemaErrors as errors:
            self._note(errors.failure_cases, noted)

    def _note(self, cases: pd.DataFrame, noted: set[tuple[int, str]]) -> None:
        for check, column, value, row in zip(
            cases["check"], cases["column"], cases["failure_case"], cases["index"], strict=True
        ):
            if pd.isna(row):
                self._note_column(str(check), column, value)
            elif (int(row), column) not in noted:
                noted.add((int(row), column))
                what = (
                    "a value is missing"
                    if check == "not_nullable"
                    else f"{quoted(value)}: not {check}"
                )
                self._add(int(row), column, what)

    def _note_column(self, check: str, column: object, value: object) -> None:
        if check in ("column_in_dataframe", "column_in_schema"):
            name = str(value)
            detail = "is missing" if check == "column_in_dataframe" else "is not in the schema"
        else:
            name, detail = str(column), f"{check}: {quoted(value)}"
        if (name, detail) not in self._said:
            self._said.add((name, detail))
            self._add(None, name, detail)

    def _add(self, row: int | None, column: str, detail: str) -> None:
        self.findings.add("schema", row, column, detail)


def as_numbers(cells: pyarrow.StringArray, whole: bool) -> tuple[pd.array, np.ndarray]:
    """Cells as numbers, missing where they are none, and a mask of those (rows,)."""
    there = pc.is_valid(cells).to_numpy(zero_copy_only=False)
    wrong = ~matching(pc.fill_null(cells, "0"), KINDS["number"])
    if wrong.any():
        cells = pc.if_else(pyarrow.array(wrong), pyarrow.scalar(None, pyarrow.string()), cells)
    numbers = as_floats(cells).to_numpy(zero_copy_only=False)
    if not whole:
        return numbers, wrong
    broken = there & ~wrong & ~(numbers == np.floor(numbers))
    broken |= ~(np.abs(numbers) < WHOLE_BELOW) & there & ~wrong
    unknown = ~there | wrong | broken
    integers = pd.array(np.where(unknown, 0, numbers).astype(np.int64), dtype="Int64")
    integers[unknown] = pd.NA
    return integers, wrong | broken
