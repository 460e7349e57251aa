"""Read a table of measurements, and hold rows out of training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import BadInput
from common.held_out import FEWEST
from common.split import Split
from common.tables import first, read_csv


@dataclass(frozen=True)
class Table:
    """Rows to learn from: `features` is float64 (rows, columns), `labels` is str (rows,)."""

    features: pd.DataFrame
    labels: np.ndarray
    target: str

    def __len__(self) -> int:
        return len(self.features)

    def where(self, mask: np.ndarray) -> "Table":
        """The rows of a boolean mask (rows,)."""
        return Table(self.features[mask].reset_index(drop=True), self.labels[mask], self.target)

    def frame(self) -> pd.DataFrame:
        """Features and labels side by side, as in the file."""
        return self.features.assign(**{self.target: self.labels})


def read_table(source: str, target: str) -> Table:
    """Read a CSV file or URL: one column of labels (`target`), all others numbers.

    Raises BadInput where the table cannot be read or one of its values cannot be used.
    """
    frame = read_csv(source, target)
    features = frame.drop(columns=target)
    return Table(features.apply(as_numbers), frame[target].astype(str).to_numpy(str), target)


def as_numbers(column: pd.Series) -> pd.Series:
    """The column as float64; BadInput names the first value that is no finite number."""
    try:
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    except OverflowError as error:
        raise BadInput(f"data: column {column.name!r}: {error}") from error
    if (row := first(~np.isfinite(numbers))) is not None:
        value = str(column[row])[:40]
        raise BadInput(f"data: column {column.name!r}, row {row + 1}: {value!r} is not a number")
    return numbers


def train_and_test(table: Table, split: Split) -> tuple[Table, Table]:
    """The rows to train on and the rows held out, with every class on both sides."""
    held_out = split.holds_out(table.features)
    train, test = table.where(~held_out), table.where(held_out)
    if len(test) < FEWEST:
        raise BadInput(
            f"test_size: {split.test_size} of {len(table)} rows holds out {len(test)}; "
            f"at least {FEWEST} are needed"
        )
    classes = set(table.labels.tolist())
    if len(classes) < 2:
        raise BadInput(f"target: column {table.target!r} has one class only: {classes.pop()!r}")
    for part, what in (train, "train on"), (test, "hold out"):
        if missing := sorted(classes - set(part.labels.tolist())):
            raise BadInput(
                f"target: no rows of class {missing[0]!r} to {what} "
                f"({len(missing)} of {len(classes)} classes are too rare)"
            )
    return train, test
