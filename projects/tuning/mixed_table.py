"""Read a table of numbers and texts with gaps, and hold rows out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from common.errors import BadInput
from common.held_out import FEWEST
from common.split import Split
from common.tables import first, read_csv
from tuned_pipeline import CLASSIFICATION, FOLDS, Kind, kind_of


@dataclass(frozen=True)
class MixedTable:
    """Rows to learn from.

    features: (rows, columns), columns of numbers as float64, all others as text, missing values
    as NaN. answers: (rows,), float64 where numbers are to be predicted, else str.
    """

    features: pd.DataFrame
    answers: np.ndarray
    target: str

    def __len__(self) -> int:
        return len(self.features)

    @property
    def kind(self) -> Kind:
        """What it asks for: to predict labels, or numbers."""
        return kind_of(self.answers)

    def where(self, mask: np.ndarray) -> "MixedTable":
        """The rows of a boolean mask (rows,)."""
        return MixedTable(
            self.features[mask].reset_index(drop=True), self.answers[mask], self.target
        )

    def frame(self) -> pd.DataFrame:
        """Features and answers side by side, as in the file."""
        return self.features.assign(**{self.target: self.answers})


def read_mixed(source: str, target: str) -> MixedTable:
    """Read a CSV file or URL; features may have gaps, the column `target` may not.

    Raises BadInput where the table cannot be read or one of its columns cannot be used.
    """
    frame = read_csv(source, target)
    answers = typed(frame.pop(target))
    if answers.nunique() < 2:
        raise BadInput(f"target: column {target!r} has one value only: {str(answers[0])[:40]!r}")
    kind = np.float64 if is_numeric_dtype(answers) else str
    return MixedTable(frame.apply(typed), answers.to_numpy(kind), target)


def typed(column: pd.Series) -> pd.Series:
    """Numbers as float64, anything else as text."""
    if column.isna().all():
        raise BadInput(f"data: column {column.name!r} has no values")
    if not is_numeric_dtype(column) or is_bool_dtype(column):
        return column.astype("str")  # keeps gaps
    if (row := first(np.isinf(column))) is not None:
        raise BadInput(f"data: column {column.name!r}, row {row + 1}: {column[row]} is not finite")
    return column.astype("float64")


def train_and_test(table: MixedTable, split: Split) -> tuple[MixedTable, MixedTable]:
    """The rows to search and train on, enough for every fold, and the rows held out."""
    held_out = split.holds_out(table.features)
    train, test = table.where(~held_out), table.where(held_out)
    for part, what, least in ((train, "train on", 2 * FOLDS), (test, "hold out", FEWEST)):
        if len(part) < least:
            raise BadInput(
                f"test_size: {split.test_size} of {len(table)} rows leaves {len(part)} to {what}; "
                f"at least {least} are needed"
            )
    if table.kind is CLASSIFICATION:
        counts = pd.Series(train.answers).value_counts()
        for label in sorted(set(table.answers.tolist())):
            if (rows := counts.get(label, 0)) < FOLDS:
                raise BadInput(
                    f"target: class {label[:40]!r} has {rows} rows to train on; "
                    f"at least {FOLDS} are needed"
                )
    for name, column in train.features.items():
        if column.isna().all():
            raise BadInput(f"data: column {name!r} has no values in the rows to train on")
    return train, test
