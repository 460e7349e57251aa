"""What is known of a value in an ONNX graph, for any number of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Shape = tuple[int | None, ...] | None
"""Sizes, None where free; None for a value of which not even the rank is known."""

ROWS = "rows"
"""The number of rows, among sizes."""


class MixesError(Exception):
    """An answer may depend on other rows: the predicate of a sentence about an operator."""


@dataclass(frozen=True)
class Rows:
    """One part a row, along `axis`: each made from the parts of its own row alone."""

    axis: int
    shape: Shape

    @property
    def rank(self) -> int:
        if self.shape is None:
            raise MixesError("gets a value of unknown rank")
        return len(self.shape)


@dataclass(frozen=True, eq=False)
class Same:
    """Equal whatever the rows are, and how many. Sizes of rows that are merged are equal, so that
    a free size other than the number of rows is one of these."""

    shape: Shape
    value: np.ndarray | None = None

    def array(self) -> np.ndarray | None:
        return self.value


@dataclass(frozen=True)
class Dims:
    """Sizes that were taken from shapes: a vector, or one of them."""

    sizes: tuple[int | str | None, ...]
    is_scalar: bool = False

    @property
    def has_rows(self) -> bool:
        return ROWS in self.sizes

    @property
    def shape(self) -> Shape:
        return () if self.is_scalar else (len(self.sizes),)

    def array(self) -> np.ndarray | None:
        if not all(isinstance(size, int) for size in self.sizes):
            return None
        return np.array(self.sizes[0] if self.is_scalar else self.sizes, dtype=np.int64)


Value = Rows | Same | Dims
