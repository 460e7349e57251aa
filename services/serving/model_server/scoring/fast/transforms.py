"""Preprocessing that is repeated: the same operations in the same order as the estimator's own
`transform`, so that not even a last bit differs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from model_server.scoring.fast.rows import (
    BeyondError,
    Marks,
    NoFastPath,
    Rows,
    Transform,
    check_finite,
    columns,
    floats,
    matrix,
)

MAX_CELLS = 2**23
"""Cells of a dense one-hot matrix; where it has more, the model's own sparse one is the better."""

_UNKNOWN, _DROPPED = -2, -1

Operation = tuple[np.ufunc, np.ndarray]


class Scaling(Transform):
    """Subtracts, divides, multiplies, adds: one operation of a vector on every column each."""

    def __init__(
        self,
        *operations: Operation,
        in_type: bool = False,
        clip: tuple[float, float] | None = None,
        is_sparse: bool = False,
    ) -> None:
        self.is_sparse = is_sparse
        self._operations = operations
        self._in_type = in_type
        """Whether the vectors are rounded to the rows' type first."""
        self._clip = clip

    def __call__(self, rows: Rows) -> np.ndarray:
        """The rows scaled. Raises BeyondError."""
        values = original = check_finite(floats(rows), nan=True)
        for operation, vector in self._operations:
            if self._in_type and vector.dtype != original.dtype:
                vector = vector.astype(original.dtype)
            out = np.empty_like(original) if values is original else values
            values = operation(values, vector, out=out, casting="same_kind")
        return values if self._clip is None else values.clip(*self._clip)

    def marks(self, after: Marks) -> Marks:
        """Marks of its input, and what becomes -1, 0, 1 or an end of its range."""
        inverses: dict[np.ufunc, np.ufunc] = {np.subtract: np.add, np.divide: np.multiply}
        inverses |= {inverse: operation for operation, inverse in inverses.items()}
        ends = [] if self._clip is None else list(self._clip)
        before = []
        for number, marks in enumerate(after):
            values = np.concatenate([marks.astype(float), ends, [-1.0, 0.0, 1.0]])
            for operation, vector in reversed(self._operations):
                values = inverses[operation](values, vector[number])
            before.append(values)
        return before


def standard_scaling(scaler: StandardScaler, is_sparse: bool) -> Scaling:
    """What repeats a StandardScaler."""
    operations: list[Operation] = []
    if scaler.with_mean:
        operations.append((np.subtract, scaler.mean_))
    if scaler.with_std:
        operations.append((np.divide, scaler.scale_))
    return Scaling(*operations, in_type=True, is_sparse=is_sparse)


def min_max_scaling(scaler: MinMaxScaler, is_sparse: bool) -> Scaling:
    """What repeats a MinMaxScaler."""
    clip = scaler.feature_range if scaler.clip else None
    operations = (np.multiply, scaler.scale_), (np.add, scaler.min_)
    return Scaling(*operations, clip=clip, is_sparse=is_sparse)


def max_abs_scaling(scaler: MaxAbsScaler, is_sparse: bool) -> Scaling:
    """What repeats a MaxAbsScaler. Raises NoFastPath."""
    if getattr(scaler, "clip", False):
        raise NoFastPath("a MaxAbsScaler that clips has no equivalent")
    return Scaling((np.divide, scaler.scale_), is_sparse=is_sparse)


def robust_scaling(scaler: RobustScaler, is_sparse: bool) -> Scaling:
    """What repeats a RobustScaler."""
    operations: list[Operation] = []
    if scaler.with_centering:
        operations.append((np.subtract, scaler.center_))
    if scaler.with_scaling:
        operations.append((np.divide, scaler.scale_))
    return Scaling(*operations, is_sparse=is_sparse)


class Unchanged(Transform):
    """A step that passes its rows on."""

    def __init__(self, is_sparse: bool = False) -> None:
        self.is_sparse = is_sparse

    def __call__(self, rows: Rows) -> Rows:
        """The same rows."""
        return rows


def unchanged(transformer: FunctionTransformer, is_sparse: bool) -> Unchanged:
    """What repeats a FunctionTransformer without a function. Raises NoFastPath."""
    if transformer.func is not None or transformer.validate:
        raise NoFastPath("FunctionTransformer that calls a function has no equivalent")
    return Unchanged(is_sparse)


class Imputing(Transform):
    """Puts each column's own number in the place of NaN."""

    def __init__(self, imputer: SimpleImputer) -> None:
        self._statistics = imputer.statistics_.astype(imputer._fill_dtype, copy=False)
        self._keeps_integers = imputer.strategy in ("most_frequent", "constant")

    def __call__(self, rows: Rows) -> np.ndarray:
        """The rows without NaN. Raises BeyondError."""
        values = matrix(rows)
        if self._keeps_integers:
            if values.dtype.kind == "b":
                raise BeyondError
            if values.dtype.kind != "f":
                return values
        values = check_finite(floats(values), nan=True)
        missing = np.isnan(values)
        if not missing.any():
            return values
        return np.where(missing, self._statistics.astype(values.dtype), values)

    def marks(self, after: Marks) -> Marks:
        """The same, and what is put in the place of NaN."""
        return [
            np.append(marks.astype(float), statistic)
            for marks, statistic in zip(after, self._statistics, strict=True)
        ]


def imputing(imputer: SimpleImputer, is_sparse: bool) -> Imputing | Unchanged:
    """What repeats a SimpleImputer. Missing strings are for the model: the encoder that follows
    leaves them to it. Raises NoFastPath."""
    if is_sparse or imputer.add_indicator:
        raise NoFastPath("a SimpleImputer of this kind has no equivalent")
    if imputer._fit_dtype.kind == "O":
        return Unchanged()
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        raise NoFastPath("a SimpleImputer of other values than NaN has no equivalent")
    if np.isnan(imputer.statistics_).any():
        raise NoFastPath("a SimpleImputer that drops columns has no equivalent")
    return Imputing(imputer)


class _Encoding(Transform):
    """Each column's categories, and the number that each becomes."""

    def __init__(
        self, encoder: OneHotEncoder | OrdinalEncoder, numbers: Sequence[Sequence[int]]
    ) -> None:
        if encoder.max_categories is not None or encoder.min_frequency is not None:
            raise NoFastPath("an encoder that groups infrequent categories has no equivalent")
        self._numbers = [
            dict(zip(categories.tolist(), codes, strict=True))
            for categories, codes in zip(encoder.categories_, numbers, strict=True)
        ]
        self._refuses = encoder.handle_unknown == "error"
        self._dtype = encoder.dtype

    def _codes(self, rows: Rows) -> NDArray[np.intp]:
        """Numbers of the categories, (columns, rows); _UNKNOWN where there is no such one."""
        codes = [
            [number(value, _UNKNOWN) for value in column.tolist()]
            for number, column in zip(
                (numbers.get for numbers in self._numbers), columns(rows), strict=True
            )
        ]
        if any(_UNKNOWN in numbers for numbers in codes):
            self._check_unknown(rows, codes)
        return np.array(codes, dtype=np.intp)

    def _check_unknown(self, rows: Rows, codes: list[list[int]]) -> None:
        """Raises BeyondError, also where one is missing: encoders have rules of their own for
        that."""
        if self._refuses:
            raise BeyondError
        for column, numbers in zip(columns(rows), codes, strict=True):
            for value, number in zip(column.tolist(), numbers, strict=True):
                is_plain = isinstance(value, str | float | int) and value == value
                if number == _UNKNOWN and not is_plain:
                    raise BeyondError

    def marks(self, after: Marks) -> Marks:  # noqa: ARG002
        """Its categories, and an unknown one where it takes that."""
        categories = []
        for numbers in self._numbers:
            values = list(numbers)
            if not self._refuses:
                values.append("other" if isinstance(values[0], str) else max(values) + 1)
            categories.append(np.array(values, dtype=object))
        return categories


class OneHot(_Encoding):
    """OneHotEncoder, as a dense matrix."""

    def __init__(self, encoder: OneHotEncoder, is_sparse: bool) -> None:  # noqa: ARG002
        dropped = encoder.drop_idx_
        numbers, self._width = [], 0
        for at, categories in enumerate(encoder.categories_):
            left_out = None if dropped is None else dropped[at]
            codes = []
            for number in range(len(categories)):
                codes.append(_DROPPED if number == left_out else self._width)
                self._width += number != left_out
            numbers.append(codes)
        super().__init__(encoder, numbers)
        self.is_sparse = encoder.sparse_output

    def width(self, columns: int) -> int:  # noqa: ARG002
        """Categories of all columns, without those that are dropped."""
        return self._width

    def __call__(self, rows: Rows) -> np.ndarray:
        """A column for each category, 0 or 1. Raises BeyondError."""
        places = self._codes(rows)
        count = places.shape[1]
        if count * self._width > MAX_CELLS:
            raise BeyondError
        values = np.zeros((count, self._width), dtype=self._dtype)
        is_in = places >= 0
        values[np.broadcast_to(np.arange(count), places.shape)[is_in], places[is_in]] = 1
        return values


class Ordinal(_Encoding):
    """OrdinalEncoder."""

    def __init__(self, encoder: OrdinalEncoder, is_sparse: bool) -> None:  # noqa: ARG002
        super().__init__(encoder, [range(len(one)) for one in encoder.categories_])
        for numbers in self._numbers:  # NaN and None are categories with rules of their own
            for value in [value for value in numbers if value is None or value != value]:
                del numbers[value]
        self._unknown = encoder.unknown_value

    def __call__(self, rows: Rows) -> np.ndarray:
        """The categories' numbers. Raises BeyondError."""
        numbers = self._codes(rows).T
        values = numbers.astype(self._dtype, order="C")
        if not self._refuses:
            values[numbers == _UNKNOWN] = self._unknown
        return values


TRANSFORMS = {
    FunctionTransformer: unchanged,
    MaxAbsScaler: max_abs_scaling,
    MinMaxScaler: min_max_scaling,
    OneHotEncoder: OneHot,
    OrdinalEncoder: Ordinal,
    RobustScaler: robust_scaling,
    SimpleImputer: imputing,
    StandardScaler: standard_scaling,
}
"""Estimator -> what makes its Transform; called with whether its input is a sparse matrix."""
