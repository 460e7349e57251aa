"""Read texts with labels, and hold some out of training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.errors import BadInput
from common.held_out import FEWEST
from common.split import Split
from common.tables import first, read_csv

FOLDS = 5  # of cross-validation


@dataclass(frozen=True)
class Feedback:
    """Texts (rows,), a label for each (rows,), and `groups` (rows, 1): where it is equal, the texts
    belong together."""

    texts: pd.Series
    labels: np.ndarray
    groups: pd.DataFrame

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, mask: np.ndarray) -> "Feedback":
        """The rows of a boolean mask (rows,)."""
        texts, groups = self.texts[mask], self.groups[mask]
        return Feedback(
            texts.reset_index(drop=True), self.labels[mask], groups.reset_index(drop=True)
        )

    def features(self) -> pd.DataFrame:
        """Input of a model: a column `text`."""
        return self.texts.to_frame("text")

    def frame(self) -> pd.DataFrame:
        """Texts and labels side by side, as in the file."""
        return self.features().assign(label=self.labels)

    def group_names(self) -> pd.Series:
        """The group of each row (rows,)."""
        return self.groups.iloc[:, 0]


def read_feedback(source: str) -> Feedback:
    """Read a CSV file or URL with the columns text and label, and review if texts belong together.

    Raises BadInput where the table cannot be read or one of its values cannot be used.
    """
    # Only what is empty is missing: a customer may well write n/a.
    frame = read_csv(source, "label", keep_default_na=False, na_values=[""])
    if "text" not in frame.columns:
        columns = ", ".join(map(str, frame.columns[:50]))
        raise BadInput(f"data: no column 'text' in {source!r}; its columns: {columns}")
    if pd.api.types.is_numeric_dtype(frame["text"]):
        raise BadInput("data: column 'text' holds numbers, not texts")
    texts, labels = frame["text"], frame["label"].astype(str).str.strip()
    for name, column in ("text", texts.fillna("").astype(str).str.strip()), ("label", labels):
        if (row := first(column == "")) is not None:
            raise BadInput(f"data: column {name!r} is empty in row {row + 1}")
    group = "review" if "review" in frame.columns else "text"
    if (row := first(frame[group].isna())) is not None:
        raise BadInput(f"data: column {group!r} is empty in row {row + 1}")
    return Feedback(texts.astype(str), labels.to_numpy(str), frame[[group]])


def train_and_held_out(feedback: Feedback, split: Split) -> tuple[Feedback, Feedback]:
    """What to train on and what is held out: whole reviews, and every class on both sides."""
    classes = sorted(set(feedback.labels.tolist()))
    if len(classes) < 2:
        raise BadInput(f"data: column 'label' has one class only: {classes[0]!r}")
    mask = split.holds_out(feedback.groups)
    training, held_out = feedback.where(~mask), feedback.where(mask)
    if len(held_out) < FEWEST:
        raise BadInput(
            f"test_size: {split.test_size} of {len(feedback)} rows holds out {len(held_out)}; "
            f"at least {FEWEST} are needed"
        )
    for label in classes:
        groups = training.group_names()[training.labels == label].nunique()
        if groups < FOLDS:
            raise BadInput(
                f"data: class {label!r} is in {groups} of the {training.groups.columns[0]}s to "
                f"train on; at least {FOLDS} are needed"
            )
        if label not in held_out.labels:
            raise BadInput(f"data: no rows of class {label!r} to hold out")
    return training, held_out
