"""Small bodies that would become huge tables."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from mlflow.types import ColSpec, Schema, TensorSpec

from model_server.errors import RefusedError
from model_server.scoring.mlflow.padding import MAX_CELLS, MAX_COLUMNS, MAX_REPEATED, check

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
COUNT = 5000
"""Rows, and columns: more cells than are taken."""


def written(**content: object) -> bytes:
    return json.dumps(content).encode()


def in_parquet(rows: int) -> bytes:
    file = io.BytesIO()
    pd.DataFrame({"a": [1.0] * rows, "b": [None] * rows}).to_parquet(file)
    return file.getvalue()


RECORDS = [{f"c{at}": 1} for at in range(COUNT)]
RAGGED = [[0] * COUNT, *([0] for _ in range(COUNT))]
LINE = b",".join([b"0"] * COUNT)
HUGE = {
    "a name each": (written(dataframe_records=RECORDS), JSON),
    "a name each, as instances": (written(instances=RECORDS), JSON),
    "a name each, by column": (
        written(inputs={f"c{at}": row for at, row in enumerate(RECORDS)}),
        JSON,
    ),
    "a name each, not a number": (
        written(dataframe_records=[*RECORDS, {"a": float("nan")}]),
        JSON,
    ),
    "one long row": (written(dataframe_split={"columns": [], "data": RAGGED}), JSON),
    "one long line": (LINE + b"\n1" * COUNT, CSV),
    "one long line after the header": (b"a\n" + LINE + b"\n1" * COUNT, CSV),
    "long quoted header": (b'"a\n",' * COUNT + b"a" + b"\n1" * COUNT, f"{CSV}; charset=utf-8"),
    "one name often": (b"a," * (MAX_REPEATED + 1) + b"a\n", CSV),
    "millions of equal rows": (in_parquet(MAX_CELLS // 2 + 1), PARQUET),
}
NAMES = [f"c{at}" for at in range(MAX_COLUMNS + 2)]
WIDE = {
    "records": (written(dataframe_records=[dict.fromkeys(NAMES, 1)]), JSON),
    "split": (written(dataframe_split={"columns": NAMES, "data": [[1] * len(NAMES)]}), JSON),
    "split without rows": (written(dataframe_split={"columns": NAMES, "data": []}), JSON),
    "split without names": (written(dataframe_split={"data": [[1] * len(NAMES)]}), JSON),
    "by column": (written(inputs={name: [1] for name in NAMES}), JSON),
    "csv": (",".join(NAMES).encode(), CSV),
}
SMALL = Schema([ColSpec("double", "a")])
TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1, 100))])
ROW = list(range(100))
FULL = {
    "many records": (written(dataframe_records=[{"a": 1, "b": 2}] * 10_000), JSON),
    "records with gaps": (written(instances=[{f"c{at % 100}": 1} for at in range(10_000)]), JSON),
    "many rows": (written(dataframe_split={"columns": ROW, "data": [ROW] * 1000}), JSON),
    "one long row of a tensor": (written(instances=[[0] * 100_000]), JSON),
    "split of no table": (written(dataframe_split={"columns": 5, "data": "x" * 9000}), JSON),
    "many columns": (written(inputs={f"c{at}": ROW for at in range(1000)}), JSON),
    "long csv": (b"a,b\n" + b"1,2\n" * 100_000, CSV),
    "wide csv": ((",".join(NAMES[:COUNT]) + "\n" + ",".join(["1"] * COUNT)).encode(), CSV),
    "parquet": (in_parquet(100_000), PARQUET),
    "no json": (b"[" * 100_000, JSON),
    "a list": (b"[" + b"1," * 10_000 + b"1]", JSON),
    "no csv": (b'"' + b",\n" * 50_000, CSV),
    "no parquet": (b"PAR1" * 10_000, PARQUET),
    "another type": (b"a" * 10_000, "text/html"),
}


@pytest.mark.parametrize("case", HUGE)
def test_huge_tables_are_refused(case):
    with pytest.raises(RefusedError) as refusal:
        check(*HUGE[case], None)
    assert refusal.value.status == 400


@pytest.mark.parametrize("case", WIDE)
def test_columns_beside_the_signature_are_limited(case):
    with pytest.raises(RefusedError) as refusal:
        check(*WIDE[case], SMALL)
    assert refusal.value.status == 400
    check(*WIDE[case], None)
    check(*WIDE[case], TENSOR)


@pytest.mark.parametrize("case", FULL)
def test_everything_else_passes(case):
    check(*FULL[case], None)
    check(*FULL[case], SMALL)
