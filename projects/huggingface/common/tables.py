"""Reading a table that the user names."""

import warnings

import numpy as np
import pandas as pd

from common.errors import BadInput, first_line


def read_rows(source: str, **options: object) -> pd.DataFrame:
    """Read a CSV file or URL that has rows; `options` are those of pandas' read_csv.

    Raises BadInput, named for the parameter `data`.
    """
    try:
        with warnings.catch_warnings():  # of rows with more fields than the header has
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(source, index_col=False, **options)
    except FileNotFoundError:
        raise BadInput(
            f"data: no file {source!r} (relative paths start at the project's folder)"
        ) from None
    except pd.errors.EmptyDataError:
        raise BadInput(f"data: {source!r} is empty") from None
    except Exception as error:  # unreachable, not text, not CSV, a broken archive: there are many
        raise BadInput(f"data: {source!r} cannot be read: {first_line(error)}") from error
    if frame.empty:
        raise BadInput(f"data: {source!r} has no rows")
    return frame


def read_csv(source: str, target: str, **options: object) -> pd.DataFrame:
    """Read rows as `read_rows` does, with the column `target`, a label in each row of it, and
    further columns.

    Raises BadInput, named for the parameters `data` and `target`.
    """
    frame = read_rows(source, **options)
    if target not in frame.columns:
        columns = ", ".join(map(str, frame.columns[:50]))
        raise BadInput(f"target: no column {target!r} in {source!r}; its columns: {columns}")
    if len(frame.columns) == 1:
        raise BadInput(f"data: {source!r} has no column besides {target!r}")
    if (row := first(frame[target].isna())) is not None:
        raise BadInput(f"data: column {target!r} has no label in row {row + 1}")
    return frame


def first(mask: pd.Series) -> int | None:
    """Position of the first True, or None."""
    positions = np.flatnonzero(mask)
    return int(positions[0]) if len(positions) else None
