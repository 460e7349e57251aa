"""Compare two versions of a model on rows that neither was trained on."""

from collections.abc import Callable
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd

from common.errors import first_line
from common.promotion import CannotCompareError, Comparison
from common.split import Split, split_of

FEWEST = 10  # rows; below this, one row decides more than a model does


@dataclass(frozen=True)
class Measure:
    """How good answers are.

    score: from labels (rows,) and answers (rows,) to a number. words: what a comparison says, with
    the fields candidate, incumbent and rows, such as "{candidate} against {incumbent}".
    """

    score: Callable[[np.ndarray, np.ndarray], float]
    words: str
    lower_is_better: bool = False


def count_right(labels: np.ndarray, answers: np.ndarray) -> int:
    """How many answers are the label, as text."""
    return sum(str(a) == str(label) for a, label in zip(answers, labels, strict=True))


RIGHT = Measure(count_right, "{candidate} against {incumbent} of {rows} held-out rows right")


@dataclass(frozen=True)
class HeldOut:
    """Rows held out by a split: `features` (rows, columns), and `labels` (rows,) to be predicted.

    split_on: the columns that the split looks at (rows, any), where these are not the features.
    """

    features: pd.DataFrame
    labels: np.ndarray
    split: Split
    measure: Measure = RIGHT
    split_on: pd.DataFrame | None = None

    def comparing(self, name: str) -> Callable[[str, str], Comparison]:
        """What the gate asks: to compare two versions of the model `name`."""
        return lambda candidate, incumbent: self.compare(name, candidate, incumbent)

    def compare(self, name: str, candidate: str, incumbent: str) -> Comparison:
        """Let both versions predict the rows that neither was trained on.

        Raises CannotCompareError where one cannot be loaded or takes other columns, or where
        too few such rows are left.
        """
        chosen, caveat = np.ones(len(self.features), bool), ""
        rule = split_of(mlflow.MlflowClient().get_model_version(name, incumbent))
        if rule is None:
            caveat = f" (version {incumbent} may have been trained on them: it does not say)"
        elif rule != self.split:
            chosen = rule.holds_out(self.features if self.split_on is None else self.split_on)
            caveat = f" (those held out from both; version {incumbent} was trained with {rule})"
        if chosen.sum() < FEWEST:
            raise CannotCompareError(
                f"of the held-out rows, version {incumbent} was not trained on {chosen.sum()} only "
                f"(its {rule})"
            )
        features = self.features[chosen].reset_index(drop=True)
        labels = self.labels[chosen]
        scores = [self._score(name, each, features, labels) for each in (candidate, incumbent)]
        words = self.measure.words.format(
            candidate=scores[0], incumbent=scores[1], rows=len(features)
        )
        sign = -1 if self.measure.lower_is_better else 1
        return Comparison.of(sign * scores[0], sign * scores[1], words + caveat)

    def _score(self, name: str, version: str, features: pd.DataFrame, labels: np.ndarray) -> float:
        """How good a version's answers are, loaded as the model server loads it."""
        try:
            model = mlflow.pyfunc.load_model(f"models:/{name}/{version}")
            schema = model.metadata.get_input_schema()
            if schema and set(schema.input_names()) != set(features.columns):
                raise CannotCompareError(f"version {version} takes other columns than these data")
            return self.measure.score(labels, np.asarray(model.predict(features)).ravel())
        except CannotCompareError:
            raise
        except Exception as error:  # a model is other people's code: it may raise anything
            raise CannotCompareError(
                f"version {version} cannot be loaded or asked: {first_line(error)}"
            ) from error
