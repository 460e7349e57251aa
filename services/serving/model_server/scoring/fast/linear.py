"""Linear models: one matrix product, done by numpy as scikit-learn does it.

Ties fall as the model's own do, since the arithmetic is the same. Where the model's is on a sparse
matrix, it adds up in another order: what that could change is left to the model.

Of requests that were merged, each has a product of its own: for another number of rows, BLAS adds
up in another order, and a tie would fall by who else asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn import linear_model, svm
from sklearn.utils import extmath

from model_server.scoring.fast.rows import (
    BeyondError,
    Floats,
    Marks,
    NoFastPath,
    Rows,
    check_finite,
    matrix,
)

softmax: Callable[..., Floats] = extmath.softmax

TOLERANCE = 1e-12
"""Difference of floats that were added up in another order, relative and absolute."""

CLASSIFIERS = (
    linear_model.LogisticRegression,
    linear_model.LogisticRegressionCV,
    linear_model.Perceptron,
    linear_model.RidgeClassifier,
    linear_model.RidgeClassifierCV,
    linear_model.SGDClassifier,
    svm.LinearSVC,
)
REGRESSORS = (
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
    linear_model.HuberRegressor,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.SGDRegressor,
    svm.LinearSVR,
)


class _Linear:
    engine = "numpy"
    chooses_by: str | None = None

    def __init__(self, estimator: Any, is_sparse: bool) -> None:
        coefficients = estimator.coef_
        if not isinstance(coefficients, np.ndarray) or coefficients.ndim > 2:
            raise NoFastPath("its coefficients are no plain matrix")  # sparsified, say
        self._is_sparse = is_sparse
        self._coefficients: Floats = coefficients.T
        self._intercept: Floats = estimator.intercept_
        self._features = coefficients.shape[-1]

    def _values(self, rows: Rows) -> Floats:
        values = check_finite(matrix(rows))
        return values.astype(np.float64) if values.dtype.kind == "b" else values

    def _sums(self, values: Floats, sizes: Sequence[int] = ()) -> Floats:
        if len(sizes) < 2:
            return values @ self._coefficients + self._intercept
        size = sizes[0]
        if sizes.count(size) == len(sizes) and (size == 1 or values.flags.c_contiguous):
            stack = np.ascontiguousarray(values).reshape(len(sizes), size, -1)
            sums = (stack @ self._coefficients).reshape(len(values), *self._coefficients.shape[1:])
            return sums + self._intercept
        products, start = [], 0
        for size in sizes:
            # In memory as they are alone, which BLAS also heeds.
            part = values[start : start + size].copy(order="K")
            products.append(part @ self._coefficients)
            start += size
        return np.concatenate(products) + self._intercept

    def _error(self, values: Floats) -> Floats:
        """Largest difference of scores whose terms are added up in another order."""
        sizes = np.abs(values) @ np.abs(self._coefficients) + np.abs(self._intercept)
        terms: int = np.count_nonzero(values, axis=1).max() + 1
        return 2 * terms * np.finfo(float).eps * sizes

    def marks(self) -> Marks:
        """Zero, for each feature."""
        return [np.zeros(1)] * self._features


class LinearClassification(_Linear):
    """Labels, or probabilities and their logarithms."""

    def __init__(self, estimator: Any, function: str, is_sparse: bool) -> None:
        super().__init__(estimator, is_sparse)
        self._classes: np.ndarray = estimator.classes_
        binarizer = getattr(estimator, "_label_binarizer", None)
        if binarizer is not None and binarizer.y_type_.startswith("multilabel"):
            raise NoFastPath("it predicts several labels")
        self._function = function
        self.chooses_by = "decision_function" if function == "predict" else None
        self._is_softmax = function != "predict" and _is_softmax(estimator)

    def scores(self, rows: Rows) -> Floats:
        """What `decision_function` returns: (rows,) of two classes, else (rows, classes)."""
        return self._scores(self._values(rows))

    def _scores(self, values: Floats, sizes: Sequence[int] = ()) -> Floats:
        sums = self._sums(values, sizes)
        return sums.reshape(-1) if sums.ndim > 1 and sums.shape[1] == 1 else sums

    def __call__(self, rows: Rows, sizes: Sequence[int] = ()) -> np.ndarray:
        """Labels, (rows,), or probabilities, (rows, classes). Raises BeyondError."""
        values = self._values(rows)
        scores = self._scores(values, sizes)
        if self._function == "predict":
            if self._is_sparse:
                self._check_ties(scores, self._error(values))
            chosen = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
            return self._classes.take(chosen, axis=0)
        probabilities = self._probabilities(scores)
        if self._function == "predict_proba":
            return probabilities
        with np.errstate(divide="ignore"):
            return np.log(probabilities)

    def _check_ties(self, scores: Floats, error: Floats) -> None:
        if scores.ndim == 1:
            gaps, error = np.abs(scores), error.reshape(-1)
        else:
            best = np.partition(scores, -2, axis=1)
            gaps, error = best[:, -1] - best[:, -2], 2 * error.max(axis=1)
        if not (gaps > error).all():
            raise BeyondError

    def _probabilities(self, scores: Floats) -> Floats:
        if self._is_softmax:
            return softmax(scores, copy=False)
        positive: Floats = expit(scores)
        if positive.ndim == 1:
            return np.stack([1 - positive, positive], axis=1)
        total = positive.sum(axis=1)
        if not total.all():  # for all of them it is zero
            raise BeyondError
        positive /= total.reshape(-1, 1)
        return positive


def _is_softmax(estimator: Any) -> bool:
    """Whether probabilities are its softmax; else they are one logistic function a class. Raises
    NoFastPath where they are neither."""
    if isinstance(estimator, linear_model.LogisticRegression):
        return len(estimator.classes_) > 2
    if isinstance(estimator, linear_model.SGDClassifier) and estimator.loss == "log_loss":
        return False
    raise NoFastPath(f"probabilities of {type(estimator).__name__} have no equivalent")


class LinearRegression(_Linear):
    """Numbers, (rows,) or (rows, targets)."""

    def __init__(self, estimator: Any, function: str, is_sparse: bool) -> None:
        super().__init__(estimator, is_sparse)
        if function != "predict":
            raise NoFastPath(f"{function} of {type(estimator).__name__} has no equivalent")

    def scores(self, rows: Rows) -> Floats:
        """The predictions themselves."""
        return self(rows)

    def __call__(self, rows: Rows, sizes: Sequence[int] = ()) -> Floats:
        """The numbers. Raises BeyondError."""
        values = self._values(rows)
        sums = self._sums(values, sizes)
        if self._is_sparse and (self._error(values) > TOLERANCE * (1 + np.abs(sums))).any():
            raise BeyondError
        return sums
