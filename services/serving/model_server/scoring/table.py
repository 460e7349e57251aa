"""Rows as a signature has them: what readers of every protocol make, batches merge, and engines
and models predict on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd


class Table:
    """Rows that conform to a signature, in its order and its types.

    | signature     | names    | block                                       | columns          |
    | ------------- | -------- | ------------------------------------------- | ---------------- |
    | one type      | columns' | (rows, columns), if that type has numbers   |                  |
    | mixed columns | columns' |                                             | (rows,) each     |
    | one tensor    |          | (rows, ...)                                 |                  |
    | named tensors | tensors' |                                             | (rows, ...) each |

    Strings are object arrays of str, and of None where an optional one is missing; strings of
    tensors are numpy's own. `names` is best one `pandas.Index` for all tables of a signature.
    """

    __slots__ = ("block", "columns", "is_tensor", "names", "rows", "sizes")

    def __init__(
        self,
        names: Sequence[Hashable],
        *,
        block: np.ndarray | None = None,
        columns: Sequence[np.ndarray] = (),
        is_tensor: bool = False,
        sizes: Sequence[int] = (),
    ) -> None:
        """`sizes`: how many rows each of the tables had that this one was merged of."""
        self.names = names
        self.block = block
        self.columns = columns
        self.is_tensor = is_tensor
        self.sizes = sizes
        self.rows = len(block) if block is not None else len(columns[0])

    def frame(self) -> pd.DataFrame | np.ndarray | dict[Hashable, np.ndarray]:
        """What the model is given: a frame, or a tensor or a dict of them."""
        if self.is_tensor:
            if self.block is not None:
                return self.block
            return dict(zip(self.names, self.columns, strict=True))
        if self.block is not None:
            return pd.DataFrame(self.matrix(), columns=self.names, copy=False)
        return pd.DataFrame(dict(zip(self.names, self.columns, strict=True)), copy=False)

    def matrix(self) -> np.ndarray:
        """The block, as the model is given it. MLflow's frames have each column in one piece, which
        shows in products of float32: they are rounded in another way, in their seventh digit.
        Raises ValueError for a table of columns."""
        block = self.block
        if block is None:
            raise ValueError("a table of columns has no matrix")
        if self.is_tensor or block.dtype != np.float32:
            return block
        return np.asfortranarray(block)

    @property
    def layout(self) -> Hashable:
        """Tables of one signature can be merged when this is equal: tensors may have further free
        dimensions."""
        if self.block is not None:
            return self.block.shape[1:]
        return tuple(column.shape[1:] for column in self.columns) if self.is_tensor else None

    def part(self, start: int, stop: int) -> Table:
        """The rows from `start` up to `stop`."""
        if self.block is not None:
            return Table(self.names, block=self.block[start:stop], is_tensor=self.is_tensor)
        columns = [column[start:stop] for column in self.columns]
        return Table(self.names, columns=columns, is_tensor=self.is_tensor)


def merged(tables: Sequence[Table]) -> Table:
    """The rows of all, one after the other. All must be of one signature and one layout."""
    first = tables[0]
    if len(tables) == 1:
        return first
    sizes = [table.rows for table in tables]
    if first.block is not None:
        blocks: list[Any] = [table.block for table in tables]
        return Table(
            first.names, block=np.concatenate(blocks), is_tensor=first.is_tensor, sizes=sizes
        )
    columns = [np.concatenate(parts) for parts in zip(*(t.columns for t in tables), strict=True)]
    return Table(first.names, columns=columns, is_tensor=first.is_tensor, sizes=sizes)
