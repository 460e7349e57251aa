"""Requests made from an example of what a model takes: each format, and what clients get wrong."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import pandas as pd

from tests.integration.serving.reference.malformed import CSV, JSON, PARQUET

Request: TypeAlias = tuple[bytes, Mapping[str, str]]
"""Body and headers."""
Requests: TypeAlias = dict[str, Request]
Row: TypeAlias = dict[str, object]
"""Column to value, as JSON has it."""

VALUES = {
    "integer": 3,
    "zero": 0,
    "negative": -3,
    "above int32": 2**31,
    "above float's integers": 2**53 + 1,
    "above int64": 2**63,
    "below int64": -(2**63) - 1,
    "huge integer": 10**30,
    "beyond double": 10**400,
    "float": 1.5,
    "whole float": 2.0,
    "minus zero": -0.0,
    "decimal": 0.1,
    "many digits": "<0.1234567890123456789012345>",
    "above float32": 1e39,
    "overflow": "<1e400>",
    "underflow": "<1e-400>",
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "null": None,
    "true": True,
    "false": False,
    "text": "text",
    "empty text": "",
    "integer in text": "3",
    "float in text": " 1.5 ",
    "nan in text": "nan",
    "true in text": "true",
    "date": "2024-01-31",
    "time": "2024-01-31T12:34:56.123456789",
    "time with zone": "2024-01-31T12:34:56Z",
    "no date": "2024-02-30",
    "base64": "AP8=",
    "unicode": "ä☃😀\u2028",
    "surrogate": "\ud800",
    "list": [1],
    "list of text": ["x"],
    "nested list": [[1.5, 2]],
    "no list": [],
    "object": {"a": 1},
    "no object": {},
}
"""What is tried in place of a good value. A text in angle brackets stands there as it is."""


def body(**content: object) -> Request:
    text = re.sub(r'"<(.+?)>"', r"\1", json.dumps(content))
    return text.encode(), JSON


def split(rows: list[Row], columns: Iterable[str] = (), **further: object) -> Request:
    columns = list(columns) or list(rows[0])
    data = [[row.get(column) for column in columns] for row in rows]
    return body(dataframe_split={"columns": columns, "data": data}, **further)


def records(rows: list[Row]) -> Request:
    return body(dataframe_records=rows)


def columnwise(rows: list[Row]) -> dict[str, list]:
    return {column: [row.get(column) for row in rows] for column in rows[0]}


def inputs(rows: list[Row]) -> Request:
    return body(inputs=columnwise(rows))


def input_rows(rows: list[Row]) -> Request:
    return body(inputs=rows)


def input_row(rows: list[Row]) -> Request:
    return body(inputs=rows[0])


def instances(rows: list[Row]) -> Request:
    return body(instances=rows)


def instances_by_column(rows: list[Row]) -> Request:
    return body(instances=columnwise(rows))


def csv(rows: list[Row]) -> Request:
    # As objects: pandas' own text cannot hold half a surrogate pair.
    text = pd.DataFrame(rows, dtype=object).to_csv(index=False)
    return text.encode(errors="surrogatepass"), CSV


FORMATS = {
    "split": split,
    "records": records,
    "inputs": inputs,
    "input rows": input_rows,
    "input row": input_row,
    "instances": instances,
    "instances by column": instances_by_column,
    "csv": csv,
}


def parquet(frame: pd.DataFrame) -> Request:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue(), PARQUET


def shapes(rows: list[Row]) -> Requests:
    """Every format, and frames that are good or bad as a whole. At least two rows, two columns."""
    row, columns = rows[0], list(rows[0])
    first, last = columns[0], columns[-1]
    without = [{c: v for c, v in row.items() if c != first} for row in rows]
    more = [row | {"further": "x"} for row in rows]
    made: Requests = {}
    for name, form in FORMATS.items():
        made |= {
            f"{name}": form(rows),
            f"{name}, one row": form(rows[:1]),
            f"{name}, many rows": form(rows * 40),
            f"{name}, other order": form([dict(reversed(row.items())) for row in rows]),
            f"{name}, column missing": form(without),
            f"{name}, column too many": form(more),
            f"{name}, null in one row": form([row, row | {first: None}]),
            f"{name}, nulls in a column": form([row | {last: None} for row in rows]),
            f"{name}, all null": form([dict.fromkeys(row)] * 2),
        }
    values = list(row.values())
    return made | {
        "split, no rows": split([], columns),
        "split, empty row": body(dataframe_split={"columns": columns, "data": [[]]}),
        "split, nested too deep": body(dataframe_split={"columns": columns, "data": [[values]]}),
        "split, flat": body(dataframe_split={"columns": columns, "data": values}),
        "split, without columns": body(dataframe_split={"data": [values]}),
        "split, one value short": body(dataframe_split={"columns": columns, "data": [values[1:]]}),
        "split, one value long": body(
            dataframe_split={"columns": columns, "data": [[*values, values[-1]]]}
        ),
        "split, ragged": body(dataframe_split={"columns": columns, "data": [values, values[1:]]}),
        "split, column twice": split([row], [*columns, first]),
        "split, column instead of another": split([row], [*columns[:-1], first]),
        "split, index": body(dataframe_split={"columns": columns, "index": [7], "data": [values]}),
        "split, text index": body(
            dataframe_split={"columns": columns, "index": ["x", "y"], "data": [values] * 2}
        ),
        "split, index twice": body(
            dataframe_split={"columns": columns, "index": [1, 1], "data": [values] * 2}
        ),
        "split, index of nulls": body(
            dataframe_split={"columns": columns, "index": [None], "data": [values]}
        ),
        "split, data by column": body(dataframe_split=columnwise(rows)),
        "split, rows as objects": body(dataframe_split={"data": rows}),
        "split, data of columns": body(dataframe_split={"data": columnwise(rows)}),
        "split, further key of the body": split(rows, more="x"),
        "records, one object": body(dataframe_records=row),
        "records, columns differ": records([rows[0], without[1]]),
        "records, second not an object": body(dataframe_records=[row, 1]),
        "records, rows as lists": body(dataframe_records=[values]),
        "records, null row": body(dataframe_records=[row, None]),
        "inputs as lists": body(inputs=[values]),
        "inputs as one list": body(inputs=values),
        "inputs, lengths differ": body(inputs=columnwise(rows) | {first: [row[first]]}),
        "inputs, nested once more": body(inputs={c: [[v]] for c, v in row.items()}),
        "inputs, no rows": body(inputs={column: [] for column in columns}),
        "instances as lists": body(instances=[values]),
        "instances, one object": body(instances=row),
        "instances, columns differ": body(instances=[rows[0], without[1]]),
        "instances, lengths differ": body(instances=columnwise(rows) | {first: [row[first]]}),
        "csv, semicolons": (csv(rows)[0].replace(b",", b";"), CSV),
        "csv, no header": (csv(rows)[0].partition(b"\n")[2], CSV),
        "csv, header alone": (csv(rows)[0].partition(b"\n")[0], CSV),
        "csv, index": (pd.DataFrame(rows).to_csv().encode(errors="surrogatepass"), CSV),
        "csv, windows lines": (csv(rows)[0].replace(b"\n", b"\r\n"), CSV),
        "csv, blank lines": (csv(rows)[0].replace(b"\n", b"\n\n"), CSV),
        "csv, spaces": (csv(rows)[0].replace(b",", b", "), CSV),
        "params nobody asked for": split(rows, params={"a": 1}),
        "params of a list": split(rows, params=[1]),
        "params of a text": split(rows, params="x"),
        "params of null": split(rows, params=None),
        "params, none": split(rows, params={}),
    }


def values(rows: list[Row], columns: Iterable[str], formats: Iterable[str]) -> Requests:
    """Each of VALUES in each of the columns, alone and after a good row."""
    made = {}
    for column, (name, value), form in itertools.product(columns, VALUES.items(), formats):
        bad = rows[0] | {column: value}
        made[f"{form}, {name} as {column}"] = FORMATS[form]([bad])
        if form in ("split", "inputs"):
            made[f"{form}, {name} as {column} in row 2"] = FORMATS[form]([rows[0], bad])
    return made


def tensors(example: object, deepest: object) -> Requests:
    """An example tensor as nested lists; `deepest` is one of its numbers."""
    text = json.dumps(example)
    made = {}
    for form in ("inputs", "instances"):
        made |= {
            form: body(**{form: example}),
            f"{form}, many": body(**{form: example * 20}),
            f"{form}, one": body(**{form: example[:1]}),
            f"{form}, one without its axis": body(**{form: example[0]}),
            f"{form}, one axis more": body(**{form: [example]}),
            f"{form}, none": body(**{form: example[:0]}),
            f"{form}, ragged": body(**{form: [example[0], example[0][1:]]}),
            f"{form}, short": body(**{form: [row[1:] for row in example]}),
            f"{form}, by name": body(**{form: {"x": example}}),
            f"{form}, row as object": body(**{form: [{"x": row} for row in example]}),
            f"{form}, params": body(**{form: example}, params={"a": 1}),
        }
        for name, value in VALUES.items():
            changed = text.replace(json.dumps(deepest), json.dumps(value), 1)
            made[f"{form}, {name}"] = body(**{form: json.loads(changed)})
    return made


def named_tensors(example: Mapping[str, list]) -> Requests:
    """Named tensors of equal first dimension, as nested lists."""
    rows = [dict(zip(example, parts, strict=True)) for parts in zip(*example.values(), strict=True)]
    made = {f"{name}": form(rows) for name, form in FORMATS.items() if name != "csv"}
    made |= {f"{name}, one row": FORMATS[name](rows[:1]) for name in made}
    for name, value in example.items():
        others = {other: values for other, values in example.items() if other != name}
        for form in ("inputs", "instances"):
            made |= {
                f"{form}, without {name}": body(**{form: others}),
                f"{form}, {name} twice as long": body(**{form: others | {name: value * 2}}),
                f"{form}, {name} without its axis": body(**{form: others | {name: value[0]}}),
                f"{form}, {name} one axis more": body(**{form: others | {name: [value]}}),
                f"{form}, none of {name}": body(**{form: others | {name: []}}),
                f"{form}, further": body(**{form: {**example, "further": [1]}}),
            }
            made |= {
                f"{form}, {what} in {name}": body(**{form: others | {name: [other, *value[1:]]}})
                for what, other in VALUES.items()
            }
    return made | {
        "inputs, other order": body(inputs=dict(reversed(example.items()))),
        "inputs as a list": body(inputs=list(example.values())),
    }


def params(name: str, rows: list[Row]) -> Requests:
    """Each of VALUES as one param."""
    return {
        f"param {name}: {what}": split(rows, params={name: value}) for what, value in VALUES.items()
    }


def texts() -> Requests:
    """Texts without a column's name, and with one."""
    return {
        f"{form}: {name}": body(**{form: value})
        for form in ("inputs", "instances")
        for name, value in {
            "texts": ["good", "bad wine"],
            "one text": "good",
            "none": [],
            "null": [None],
            "numbers": [1, 2],
            "unicode": ["ä☃😀"],
            "nested": [["good"]],
            "empty": [""],
            "column": {"text": ["good", "bad"]},
            "rows": [{"text": "good"}],
            "many": ["good"] * 100,
        }.items()
    } | {"split": split([{"text": "good"}]), "csv": csv([{"text": "good"}])}


def prefixed(prefix: str, requests: Requests) -> Requests:
    return {f"{prefix}: {name}": request for name, request in requests.items()}
