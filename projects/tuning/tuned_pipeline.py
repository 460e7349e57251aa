"""The model that is tuned: from raw rows to answers in one pipeline, and what can be set in it.

Every trial's process imports this, so it imports nothing that is slow to, such as MLflow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR

FOLDS = 5

Params = Mapping[str, float]


@dataclass(frozen=True)
class Kind:
    """A kind of task: what is searched, and by which metric.

    space: the bounds of each hyperparameter, all searched on a logarithmic scale. start: what is
    tried first, about scikit-learn's defaults, so that the search shows what it gains.
    """

    name: str
    metric: str
    direction: str
    space: Mapping[str, tuple[float, float]]
    start: Params
    estimator: Callable[[Params], BaseEstimator]
    folds: type[KFold] | type[StratifiedKFold]
    scoring: str
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, float]]


def regressor(params: Params) -> TransformedTargetRegressor:
    """Predicts numbers; it learns from scaled ones, so that `epsilon` fits any unit."""
    return TransformedTargetRegressor(SVR(**params), transformer=StandardScaler())


def regression_metrics(answers: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Errors of numbers (rows,), in their own unit, and r2."""
    return {
        "rmse": root_mean_squared_error(answers, predicted),
        "mae": mean_absolute_error(answers, predicted),
        "r2": r2_score(answers, predicted),
    }


def classification_metrics(answers: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy and F1 of labels (rows,)."""
    return {
        "accuracy": accuracy_score(answers, predicted),
        "f1_macro": f1_score(answers, predicted, average="macro"),
    }


REGRESSION = Kind(
    name="regression",
    metric="rmse",
    direction="minimize",
    space={"C": (1e-2, 1e3), "gamma": (1e-4, 10), "epsilon": (1e-3, 1)},
    start={"C": 1.0, "gamma": 0.1, "epsilon": 0.1},
    estimator=regressor,
    folds=KFold,
    scoring="neg_root_mean_squared_error",
    metrics=regression_metrics,
)
CLASSIFICATION = Kind(
    name="classification",
    metric="accuracy",
    direction="maximize",
    space={"C": (1e-2, 1e3), "gamma": (1e-4, 10)},
    start={"C": 1.0, "gamma": 0.1},
    estimator=lambda params: SVC(**params),
    folds=StratifiedKFold,
    scoring="accuracy",
    metrics=classification_metrics,
)


def kind_of(answers: np.ndarray) -> Kind:
    """Classification where the answers (rows,) are labels, regression where they are numbers."""
    return CLASSIFICATION if answers.dtype.kind == "U" else REGRESSION


def pipeline(features: pd.DataFrame, kind: Kind, params: Params) -> Pipeline:
    """A model, not fitted, of the columns of `features` as they are in the table.

    A number that is missing becomes the column's median; a text that is missing is a category of
    its own, and one never seen is none of the categories.
    """
    numbers = features.select_dtypes("number").columns.tolist()
    texts = [column for column in features.columns if column not in numbers]
    of_numbers = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    of_texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),  # NaN, as pandas has it
        SimpleImputer(missing_values=None, strategy="constant", fill_value="missing"),  # a null
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    columns = ColumnTransformer([("numbers", of_numbers, numbers), ("texts", of_texts, texts)])
    return Pipeline([("columns", columns), ("model", kind.estimator(params))])


def cross_validate(
    features: pd.DataFrame, answers: np.ndarray, params: Params, seed: int
) -> list[float]:
    """The metric on each fold: preprocessing and model learn from the other folds only."""
    kind = kind_of(answers)
    scores = cross_val_score(
        pipeline(features, kind, params),
        features,
        answers,
        cv=kind.folds(FOLDS, shuffle=True, random_state=seed),
        scoring=kind.scoring,
        error_score="raise",
    )
    return np.abs(scores).tolist()  # scikit-learn's scores of errors are negative
