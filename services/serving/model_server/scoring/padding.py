"""Small bodies that would become huge tables.

pandas fills up what is short: n records that have one name each make n columns of n rows, and so do
one long line and n short ones. Parquet's compression makes millions of equal rows of a few bytes.
Such a body passes every limit on bytes, and takes all memory when it is read.
"""

import csv
import io
import json
from itertools import islice

from mlflow.pyfunc import scoring_server

from model_server.errors import RefusedError

MAX_CELLS = 2**24
"""Of one request's table, unless its body has more bytes."""
HARMLESS = 8 * 2**10
"""Bytes: no text up to this makes so many."""


def check(body: bytes, content_type: str) -> None:
    """Raises RefusedError 400."""
    count = _CELLS.get(content_type.partition(";")[0].strip())
    if count is None:
        return
    try:
        cells = count(body)
    except Exception:  # not such a table at all: its reader says why
        return
    if cells > max(MAX_CELLS, len(body)):
        raise RefusedError(
            400,
            "INVALID_PARAMETER_VALUE",
            f"The body of {len(body)} bytes would make a table of {cells} cells, most of them "
            f"empty or equal. At most {MAX_CELLS} are taken.",
        )


def _of_json(body: bytes) -> int:
    if len(body) <= HARMLESS:
        return 0
    # As MLflow reads it, so that nothing hides from one that counts for the other.
    tables = list(json.loads(body).values())
    tables += [table["data"] for table in tables if isinstance(table, dict) and "data" in table]
    return max(map(_filled_up, tables), default=0)


def _filled_up(table: object) -> int:
    """Cells of lists or records of different lengths, by row or by column."""
    if not isinstance(table, dict | list):
        return 0
    lines = table.values() if isinstance(table, dict) else table
    longest = max((len(line) for line in lines if isinstance(line, list)), default=0)
    names = {name for line in lines if isinstance(line, dict) for name in line}
    return len(lines) * max(longest, len(names))


def _of_csv(body: bytes) -> int:
    rows = body.count(b"\n") + body.count(b"\r")
    commas = body.count(b",")
    if len(body) <= HARMLESS or rows * commas <= MAX_CELLS:
        return 0
    lines = csv.reader(io.StringIO(body.decode(), newline=None))
    try:
        # A first row longer than the header makes columns, too: they become the index.
        first = islice((line for line in lines if line), 2)
        return rows * max(map(len, first), default=0)
    except csv.Error:
        return rows * commas  # at most


def _of_parquet(body: bytes) -> int:
    from pyarrow import parquet  # which a model's own environment may be without

    found = parquet.read_metadata(io.BytesIO(body))
    return found.num_rows * found.num_columns


_CELLS = {
    scoring_server.CONTENT_TYPE_JSON: _of_json,
    scoring_server.CONTENT_TYPE_CSV: _of_csv,
    scoring_server.CONTENT_TYPE_PARQUET: _of_parquet,
}
