"""Facts about a value in an ONNX graph that hold for any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Sizes = tuple[int | str | None, ...]
Shape = tuple[int | None, ...] | None
"""Sizes, None where free; None for a value of which not even the rank is known."""

ROWS = "rows"
"""The number of rows, among sizes."""


class MixesError(Exception):
    """An answer may depend on other rows: the predicate of a sentence about an operator."""


@dataclass(frozen=True)
class PerRow:
    """One part a row, along `axis`: each made from the parts of its own row alone."""

    axis: int
    shape: Shape

    @property
    def rank(self) -> int:
        """Number of dimensions. Raises MixesError where it is not known."""
        return len(shape_of(self))


@dataclass(frozen=True, eq=False)
class Same:
    """Equal whatever the rows are, and how many. Sizes of rows that are merged are equal, so that
    a free size other than the number of rows is one of these."""

    shape: Shape
    value: np.ndarray | None = None

    def array(self) -> np.ndarray | None:
        """The value, where it is known."""
        return self.value


@dataclass(frozen=True)
class Dims:
    """Sizes that were taken from shapes: a vector, or one of them."""

    sizes: Sizes
    is_scalar: bool = False

    @property
    def has_rows(self) -> bool:
        """Whether the number of rows is among them."""
        return ROWS in self.sizes

    @property
    def shape(self) -> Shape:
        """Shape of the value itself."""
        return () if self.is_scalar else (len(self.sizes),)

    def array(self) -> np.ndarray | None:
        """The sizes, where all are known."""
        if not all(isinstance(size, int) for size in self.sizes):
            return None
        return np.array(self.sizes[0] if self.is_scalar else self.sizes, dtype=np.int64)


Value = PerRow | Same | Dims

Outputs = Sequence[Value]
"""Values that one operator makes."""


def shape_of(one: Value | None) -> tuple[int | None, ...]:
    """Sizes of a value. Raises MixesError where not even the rank is known."""
    if one is None or one.shape is None:
        raise MixesError("gets a value of unknown rank")
    return one.shape
