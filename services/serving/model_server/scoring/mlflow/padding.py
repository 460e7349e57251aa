"""Bodies that cost far more than their bytes, seen before pandas reads them.

pandas fills up what is short: n records that have one name each make n columns of n rows, and so do
one long line and n short ones. Parquet's compression makes millions of equal rows of a few bytes.
And each column costs: a line of 400,000 commas keeps pandas busy for a minute.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mlflow.pyfunc import scoring_server
from mlflow.types import Schema

from model_server.errors import RefusedError

MAX_CELLS = 2**24
"""Cells of one request's table, unless its body has more bytes."""
MAX_COLUMNS = 2**14
"""Columns beside those of the model's signature; a model without one may take any number."""
MAX_REPEATED = 2**12
"""Columns of a name that came before; pandas looks for it in all of them."""
HARMLESS = 8 * 2**10
"""Bytes: no text up to this makes so many."""

Size = tuple[int, int]
"""Rows and columns of a table."""


def check(body: bytes, content_type: str, schema: Schema | None) -> None:
    """Refuses such a body. Raises RefusedError 400."""
    sizes = _SIZES.get(content_type.partition(";")[0].strip())
    if sizes is None:
        return
    try:
        tables = list(sizes(body))
    except RefusedError:
        raise
    except Exception:  # not such a table at all: its reader says why
        return
    for rows, columns in tables:
        if rows * columns > max(MAX_CELLS, len(body)):
            raise _too_large(
                f"of {len(body)} bytes would make a table of {rows * columns} cells, most of them "
                f"empty or equal. At most {MAX_CELLS} are taken."
            )
        if schema is not None and columns > MAX_COLUMNS + _width(schema):
            raise _too_large(f"has {columns} columns, far more than the model takes.")


def _too_large(what: str) -> RefusedError:
    return RefusedError(400, "INVALID_PARAMETER_VALUE", f"The body {what}")


def _width(schema: Schema) -> int:
    """Columns of a frame, numbers in a row of a tensor."""
    specs: list[Any] = schema.inputs
    if not schema.is_tensor_spec():
        return len(specs)
    return sum(abs(math.prod(spec.shape)) for spec in specs)


def _of_json(body: bytes) -> Iterator[Size]:
    if len(body) <= HARMLESS:
        return
    # As MLflow reads it, so that nothing hides from one that counts for the other.
    content = json.loads(body)
    for table in content.values():
        yield from _of_lines(table)
    split = content.get("dataframe_split")
    if isinstance(split, dict):
        rows, names = split.get("data"), split.get("columns")
        yield from _of_lines(rows)
        yield 1, max(_longest(rows), _longest([names]))


def _of_lines(table: object) -> Iterator[Size]:
    """Sizes of lists or records, by row in a list and by column in a dict, when all are filled."""
    if isinstance(table, dict):
        columns = table.values()
        yield max(_longest(columns), len(_names(columns))), len(table)
    elif isinstance(table, list):
        yield len(table), len(_names(table))
        yield len(table) * _longest(table), 1  # a tensor's rows may be long


def _longest(lines: object) -> int:
    if not isinstance(lines, Iterable):
        return 0
    return max((len(line) for line in lines if isinstance(line, list)), default=0)


def _names(lines: Iterable[object]) -> set[str]:
    return {name for line in lines if isinstance(line, dict) for name in line}


def _of_csv(body: bytes) -> Iterator[Size]:
    rows = body.count(b"\n") + body.count(b"\r") + 1
    commas = body.count(b",")
    if len(body) <= HARMLESS or (commas < MAX_REPEATED and rows * commas <= MAX_CELLS):
        return
    limit = csv.field_size_limit(len(body))
    try:
        lines = csv.reader(io.StringIO(body.decode(), newline=None))
        # A first row longer than the header makes columns, too: they become the index.
        first = list(islice((line for line in lines if line), 2))
    finally:
        csv.field_size_limit(limit)
    header = first[0]
    if len(header) - len(set(header)) > MAX_REPEATED:
        raise _too_large("has thousands of columns of the same name.")
    yield rows, max(map(len, first))


def _of_parquet(body: bytes) -> Iterator[Size]:
    from pyarrow import parquet  # which a model's own environment may be without

    metadata = parquet.read_metadata(io.BytesIO(body))
    yield metadata.num_rows, metadata.num_columns


_SIZES = {
    scoring_server.CONTENT_TYPE_JSON: _of_json,
    scoring_server.CONTENT_TYPE_CSV: _of_csv,
    scoring_server.CONTENT_TYPE_PARQUET: _of_parquet,
}
