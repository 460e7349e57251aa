"""Rows as a signature has them: what readers of every protocol make, batches merge, and engines
and models predict on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


class Table:
    """Rows that conform to a signature's columns, in its order and its types.

    Either `block`, of shape (rows, columns), where all columns have one numeric type, or `columns`,
    one array of shape (rows,) each. Never both.
    """

    __slots__ = ("block", "columns", "names", "rows")

    def __init__(
        self,
        names: Sequence[str],
        *,
        block: np.ndarray | None = None,
        columns: list[np.ndarray] | None = None,
    ) -> None:
        self.names = names
        self.block = block
        self.columns = columns
        self.rows = len(block) if block is not None else len(columns[0])

    def frame(self) -> pd.DataFrame:
        """As the model is given it."""
        if self.block is not None:
            return pd.DataFrame(self.block, columns=self.names, copy=False)
        return pd.DataFrame(dict(zip(self.names, self.columns, strict=True)), copy=False)


def merged(tables: Sequence[Table]) -> Table:
    """The rows of all, one after the other. All must be of one signature."""
    first = tables[0]
    if len(tables) == 1:
        return first
    if first.block is not None:
        return Table(first.names, block=np.concatenate([table.block for table in tables]))
    columns = [np.concatenate(parts) for parts in zip(*(t.columns for t in tables), strict=True)]
    return Table(first.names, columns=columns)
