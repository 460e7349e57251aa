"""Read a table of measurements, and hold out the same rows whatever else changes."""

from dataclasses import dataclass
from hashlib import blake2b

import click
import numpy as np
import pandas as pd

FEWEST_HELD_OUT = 10  # below this, one row decides more than a model does


class BadInput(click.ClickException):
    """What the user gave cannot be used; the message says what and where, in one line."""


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


@dataclass(frozen=True)
class Split:
    """A rule that holds rows out of training by what is in them.

    A row's features and the seed give it a number from 0 to 1; below `test_size` it is held out.
    So whether a model was trained on a row follows from that model's rule alone: it does not
    depend on the order of the rows, on rows added since, or on any other parameter, and two
    models can be compared on rows that neither has seen. Equal rows fall on the same side.
    """

    test_size: float
    seed: int

    def __post_init__(self) -> None:
        if not (0 < self.test_size < 1 and 0 <= self.seed < 2**64):
            raise ValueError(f"no split: {self}")

    def __str__(self) -> str:
        return f"test_size={self.test_size}, seed={self.seed}"

    def holds_out(self, features: pd.DataFrame) -> np.ndarray:
        """Boolean mask (rows,) of the rows held out."""
        salt = self.seed.to_bytes(8, "big")
        by_name = features[sorted(features.columns)].to_numpy("<f8") + 0.0  # -0.0 becomes 0.0
        digests = [blake2b(row.tobytes(), digest_size=8, salt=salt).digest() for row in by_name]
        places = np.array([int.from_bytes(digest, "big") for digest in digests]) / 2.0**64
        return places < self.test_size


def read_table(source: str, target: str) -> Table:
    """Read a CSV file or URL: one column of labels (`target`), all others numbers.

    Raises BadInput where the table cannot be read or one of its values cannot be used.
    """
    try:
        frame = pd.read_csv(source)
    except FileNotFoundError:
        raise BadInput(
            f"data: no file {source!r} (relative paths start at the project's folder)"
        ) from None
    except pd.errors.EmptyDataError:
        raise BadInput(f"data: {source!r} is empty") from None
    except (OSError, ValueError, ImportError) as error:  # unreachable, not text, not CSV
        raise BadInput(f"data: {source!r} cannot be read: {first_line(error)}") from error
    if frame.empty:
        raise BadInput(f"data: {source!r} has no rows")
    if target not in frame.columns:
        columns = ", ".join(map(str, frame.columns))
        raise BadInput(f"target: no column {target!r} in {source!r}; its columns: {columns}")
    features = frame.drop(columns=target)
    if features.columns.empty:
        raise BadInput(f"data: {source!r} has no column besides {target!r}")
    if (row := first(frame[target].isna())) is not None:
        raise BadInput(f"data: column {target!r} has no label in row {row + 1}")
    return Table(features.apply(as_numbers), frame[target].astype(str).to_numpy(str), target)


def as_numbers(column: pd.Series) -> pd.Series:
    """The column as float64; BadInput names the first value that is no finite number."""
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    if (row := first(~np.isfinite(numbers))) is not None:
        value = str(column[row])[:40]
        raise BadInput(f"data: column {column.name!r}, row {row + 1}: {value!r} is not a number")
    return numbers


def train_and_test(table: Table, split: Split) -> tuple[Table, Table]:
    """The rows to train on and the rows held out, with every class on both sides."""
    held_out = split.holds_out(table.features)
    train, test = table.where(~held_out), table.where(held_out)
    if len(test) < FEWEST_HELD_OUT:
        raise BadInput(
            f"test_size: {split.test_size} of {len(table)} rows holds out {len(test)}; "
            f"at least {FEWEST_HELD_OUT} are needed"
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


def first(mask: pd.Series) -> int | None:
    """Position of the first True, or None."""
    positions = np.flatnonzero(mask)
    return int(positions[0]) if len(positions) else None


def first_line(error: Exception) -> str:
    """An exception's message in one line of bounded length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
