"""Requests made from a few good rows: every format, and the rows that real clients send by mistake.

A tenth of what reference/variations.py makes: here there are many models instead.
"""

from __future__ import annotations

import json

import pandas as pd

from tests.integration.serving.reference import variations as make
from tests.integration.serving.reference.variations import Requests, Row

MISSING = ("split", "records", "inputs", "csv")
"""Formats that write a missing value in different ways."""


def of_rows(rows: list[Row]) -> Requests:
    """`rows`: at least two, of JSON's values, none missing in the first."""
    first, columns = rows[0], list(rows[0])
    made: Requests = {name: form(rows) for name, form in make.FORMATS.items()}
    made["parquet"] = make.parquet(pd.DataFrame(rows))
    for name in MISSING:
        form = make.FORMATS[name]
        made |= {
            f"{name}, one row": form(rows[:1]),
            f"{name}, missing at the start": form([first | {columns[0]: None}, *rows]),
            f"{name}, missing at the end": form([*rows, first | {columns[-1]: None}]),
            f"{name}, all missing": form([dict.fromkeys(columns), first]),
        }
    made |= {
        f"split, {name} as {columns[at]}": make.split([first | {columns[at]: value}, first])
        for at in sorted({0, len(columns) - 1})
        for name, value in {
            "unknown text": "never seen",
            "empty text": "",
            "whole number": 7,
            "fraction": 0.25,
            "extreme": -1e30,
            "true": True,
            "list": [1, 2],
        }.items()
    }
    further = [row | {"further": "x"} for row in rows]
    return made | {
        "split, many rows": make.split(rows * 25),
        "split, one row of many": make.split(rows[1:2]),
        "split, equal rows": make.split([first] * 7),
        "split, other order": make.split([dict(reversed(row.items())) for row in rows]),
        "split, no rows": make.split([], columns),
        "split, column missing": make.split([{c: row[c] for c in columns[1:]} for row in rows])
        if columns[1:]
        else make.split([{"other": 1}]),
        "split, column too many": make.split(further),
        "records, columns differ": make.records([first, rows[1] | {"further": 1}]),
        "inputs as lists": make.body(inputs=[list(row.values()) for row in rows]),
        "params nobody asked for": make.split(rows, params={"verbose": True}),
    }


def of_frame(frame: pd.DataFrame) -> Requests:
    """Requests of a frame without missing values, whose types JSON has."""
    return of_rows(json.loads(frame.to_json(orient="records", date_format="iso")))


def of_tensor(example: list) -> Requests:
    """`example`: at least two entries of nested lists."""
    made: Requests = {}
    for form in ("inputs", "instances"):
        made |= {
            form: make.body(**{form: example}),
            f"{form}, one": make.body(**{form: example[:1]}),
            f"{form}, many": make.body(**{form: example * 20}),
            f"{form}, none": make.body(**{form: []}),
            f"{form}, without the batch": make.body(**{form: example[0]}),
            f"{form}, one axis more": make.body(**{form: [example]}),
            f"{form}, ragged": make.body(**{form: [example[0], example[0][1:]]}),
            f"{form}, text": make.body(**{form: "text"}),
            f"{form}, null": make.body(**{form: [None, *example[1:]]}),
            f"{form}, by name": make.body(**{form: {"x": example}}),
        }
    flat = [{str(at): value for at, value in enumerate(row)} for row in example]
    return made | {name: form(flat) for name, form in make.FORMATS.items() if name != "inputs"}


def of_texts(texts: list[str], column: str) -> Requests:
    """Texts as rows of one column, and bare."""
    bare = {
        f"{form}, bare {name}": make.body(**{form: value})
        for form in ("inputs", "instances")
        for name, value in {
            "texts": texts,
            "text": texts[0],
            "unicode": ["ä☃😀", ""],
            "number": [1],
            "null": [None, texts[0]],
            "none": [],
        }.items()
    }
    return of_rows([{column: text} for text in texts]) | bare
