"""Rows on their way through the steps of an engine, and what may stop them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.floating[Any]]"  # which older releases of numpy cannot make
Rows = np.ndarray | Sequence[np.ndarray]
"""A matrix, or one array for each column where their types differ."""
Marks = list[np.ndarray]
"""Values around which answers change, for each column; or, as objects, all there are."""


class NoFastPath(Exception):  # noqa: N818
    """The reason for which a model is served as it is: short, and without data."""


class BeyondError(Exception):
    """These rows are for the model itself: it refuses them, or treats them in a way of its own."""


class Transform:
    """Repeats one estimator's `transform`."""

    is_sparse = False
    """Whether the estimator's own output is a sparse matrix, which the next may treat otherwise."""

    def __call__(self, rows: Rows) -> Rows:
        """The rows as the estimator's output has them. Raises BeyondError."""
        raise NotImplementedError

    def width(self, columns: int) -> int:
        """Columns that come out where so many go in."""
        return columns

    def marks(self, after: Marks) -> Marks:
        """Marks of its input, from those of its output."""
        return after


class Prediction(Protocol):
    """Repeats one function of an estimator."""

    engine: str
    """The name of the library that does it."""
    chooses_by: str | None
    """The estimator's function that gives the scores by which it chooses labels; None where its
    predictions are numbers themselves."""

    def scores(self, rows: Rows) -> np.ndarray:
        """What the function that `chooses_by` names returns; a regressor's are its predictions.
        Raises BeyondError."""

    def __call__(self, rows: Rows, sizes: Sequence[int] = ()) -> np.ndarray:
        """Predictions. `sizes`: how many rows each request has, of several that were merged. Raises
        BeyondError."""

    def marks(self) -> Marks:
        """Marks of its input."""


def matrix(rows: Rows) -> np.ndarray:
    """The matrix that pandas makes of a frame. Raises BeyondError at a column of other than
    numbers."""
    if isinstance(rows, np.ndarray):
        if rows.dtype.kind not in "biuf":
            raise BeyondError
        return rows
    kinds = {column.dtype for column in rows}
    if any(kind.kind not in "biuf" for kind in kinds):
        raise BeyondError
    return np.array(rows, dtype=np.result_type(*kinds)).T


def columns(rows: Rows) -> Sequence[np.ndarray]:
    """One array for each column."""
    return list(rows.T) if isinstance(rows, np.ndarray) else rows


def floats(rows: Rows) -> np.ndarray:
    """The rows in float32 where they are of that, else in float64."""
    values = matrix(rows)
    return values if values.dtype in (np.float64, np.float32) else values.astype(np.float64)


def check_finite(values: np.ndarray, nan: bool = False) -> np.ndarray:
    """The values. Raises BeyondError at infinity, and at NaN unless it is allowed."""
    if not np.isfinite(values).all() and (not nan or np.isinf(values).any()):
        raise BeyondError
    return values
