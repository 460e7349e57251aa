"""Rows on which an engine that is not equal to its model would show it: at and beside what the
model itself compares with, on the border between two answers, and out of the ordinary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model_server.scoring.fast.rows import Marks
from model_server.scoring.table import Table

_ODD = {
    # Missing, infinite, too large and too small for float32, too large to subtract from.
    "f": (np.nan, np.inf, -np.inf, 1e39, -1e39, 1.7e308, 5e-324, 1e-40, -0.0),
    "i": (2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63)),
    "O": (None, "", "\N{SNOWMAN}"),
}
"""Odd values, by the kind of a column."""
_PLACES = 64
"""Columns of a kind that are tried."""


class Sampler:
    """Makes tables of a signature's names and types."""

    def __init__(
        self,
        types: list[np.dtype],
        marks: Marks,
        make: Callable[[list[np.ndarray]], Table],
        seed: int = 0,
    ) -> None:
        self._types = types
        self._values = [_values(dtype, one) for dtype, one in zip(types, marks, strict=True)]
        self._is_measured = [
            dtype.kind == "f" and values.dtype != object
            for dtype, values in zip(types, self._values, strict=True)
        ]
        self._make = make
        self._random = np.random.default_rng(seed)

    def rows(self, count: int) -> list[np.ndarray]:
        """Ordinary ones, which a model trained on such columns answers."""
        return [self._column(*one, count) for one in zip(self._types, self._values, strict=True)]

    def table(self, columns: list[np.ndarray]) -> Table:
        """A table of the signature's names and types."""
        return self._make(columns)

    def _column(self, dtype: np.dtype, values: np.ndarray, count: int) -> np.ndarray:
        chosen = self._random.choice(values, count)
        if dtype.kind != "f" or values.dtype == object:
            return chosen.astype(dtype)
        # Half of them anywhere in the range of the marks and as far again beyond it.
        low, high = values.min(), values.max()
        spread = (high - low) or 1
        anywhere = self._random.uniform(low - spread / 2, high + spread / 2, count).astype(dtype)
        return np.where(self._random.random(count) < 0.5, chosen, anywhere)

    def odd(
        self, ordinary: list[np.ndarray], takes: Callable[[Table], bool]
    ) -> list[np.ndarray] | None:
        """Rows that are ordinary but for one value, of those that the engine takes upon itself.
        None where it leaves them all to the model."""
        taken = []
        for kind, values in _ODD.items():
            places = [at for at, dtype in enumerate(self._types) if dtype.kind == kind]
            for at in self._random.permutation(places)[:_PLACES].astype(int).tolist():
                for value in values:
                    try:
                        with np.errstate(over="ignore"):
                            cell = np.array([value], dtype=object).astype(self._types[at])
                    except OverflowError:  # no int32
                        continue
                    row = [cell if at == place else one[:1] for place, one in enumerate(ordinary)]
                    if takes(self._make(row)):
                        taken.append((at, cell))
        if not taken:
            return None
        columns = [column.copy() for column in ordinary]
        for number in range(len(columns[0])):
            at, cell = taken[number % len(taken)]
            columns[at][number] = cell[0]
        return columns

    def borders(
        self, columns: list[np.ndarray], labels: Callable[[Table], np.ndarray], rounds: int = 64
    ) -> Table | None:
        """Rows beside which the label changes: of pairs of rows, found by halving what lies
        between their numbers. None where no pair differs."""
        half = len(columns[0]) // 2
        low = [column[:half] for column in columns]
        high = [
            column[half : 2 * half] if is_measured else column[:half]
            for column, is_measured in zip(columns, self._is_measured, strict=True)
        ]
        at_low = labels(self._make(low))
        differ = labels(self._make(high)) != at_low
        if not differ.any():
            return None
        low, high = [one[differ] for one in low], [one[differ] for one in high]
        at_low = at_low[differ]
        for _ in range(rounds):
            middle = [
                a + (b - a) / 2 if is_measured else a
                for a, b, is_measured in zip(low, high, self._is_measured, strict=True)
            ]
            is_low = labels(self._make(middle)) == at_low
            low = [np.where(is_low, m, a) for m, a in zip(middle, low, strict=True)]
            high = [np.where(is_low, b, m) for m, b in zip(middle, high, strict=True)]
        return self._make([np.concatenate(both) for both in zip(low, high, strict=True)])


def _values(dtype: np.dtype, marks: np.ndarray) -> np.ndarray:
    """A column's marks, and their next neighbours in its own type and in float32."""
    if marks.dtype == object:
        return marks
    if dtype.kind == "O":
        return np.array(["text"], dtype=object)
    if dtype.kind == "b":
        return np.array([False, True])
    marks = marks[np.isfinite(marks)]
    marks = np.append(marks, [0.0, 1.0]) if len(marks) < 2 else marks
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        whole = np.concatenate([np.floor(marks) - 1, np.floor(marks), np.ceil(marks)])
        return np.unique(whole.clip(limits.min / 2, limits.max / 2)).astype(dtype)
    with np.errstate(over="ignore"):
        kinds = (dtype, np.dtype(np.float32))
        around = [
            np.nextafter(marks.astype(kind), kind.type(end))
            for kind in kinds
            for end in (-np.inf, np.inf)
        ]
        values = np.concatenate([marks, marks.astype(np.float32), *around]).astype(dtype)
    return np.unique(values[np.isfinite(values)])
