"""Trees and their ensembles: numpy rounds the rows as scikit-learn does, ONNX Runtime finds and
adds up the leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier, DummyRegressor

from model_server.scoring.fast.ensemble import Ensemble, Tree, constant
from model_server.scoring.fast.rows import (
    BeyondError,
    Floats,
    Marks,
    NoFastPath,
    Rows,
    check_finite,
    matrix,
)

MAX_ROWS = 1024
"""Beyond, what scikit-learn does at every call matters no more, and its own trees are as fast."""
MAX_SUMMANDS = 4096
"""Summands of one row: 32 MiB for all of a table's."""

CLASSIFIERS = (
    ensemble.ExtraTreesClassifier,
    ensemble.RandomForestClassifier,
    tree.DecisionTreeClassifier,
    tree.ExtraTreeClassifier,
)
REGRESSORS = (
    ensemble.ExtraTreesRegressor,
    ensemble.RandomForestRegressor,
    tree.DecisionTreeRegressor,
    tree.ExtraTreeRegressor,
)
BOOSTED = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
HISTOGRAM = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)


class _Trees:
    engine = "onnxruntime"
    chooses_by: str | None = None

    def __init__(self, trees: list[Tree], features: int, sums: int) -> None:
        self._ensemble = Ensemble(trees, features, sums)
        self._marks = _thresholds(trees, features)

    def marks(self) -> Marks:
        """The thresholds of each feature."""
        return self._marks


def _thresholds(trees: list[Tree], features: int) -> Marks:
    """Numbers at which trees split each feature."""
    inner = [(one, one.left >= 0) for one in trees]
    split = np.concatenate([one.features[is_inner] for one, is_inner in inner])
    at = np.concatenate([one.thresholds[is_inner] for one, is_inner in inner])
    return [np.unique(at[split == feature]) for feature in range(features)]


def _singles(rows: Rows, nan: bool) -> Floats:
    """The rows rounded to float32, in float64: ONNX Runtime compares in the type of the thresholds.
    Raises BeyondError where a value is too large for that."""
    if len(values := matrix(rows)) > MAX_ROWS:
        raise BeyondError
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    return check_finite(values, nan).astype(np.float64, order="C")


class Forest(_Trees):
    """The mean of what one or more trees say.

    Where every leaf is of one class, trees add to that class's sum. Else a leaf says several
    probabilities, which one leaf of ONNX cannot: there each tree gives the number of its leaf, and
    numpy adds up what the leaves say.
    """

    def __init__(self, estimator: Any, function: str, is_sparse: bool) -> None:
        if estimator.n_outputs_ != 1:
            raise NoFastPath("it predicts several outputs")
        self._is_classifier = hasattr(estimator, "classes_")
        if not self._is_classifier and function != "predict":
            raise NoFastPath(f"{function} of {type(estimator).__name__} has no equivalent")
        self._function = function
        if self._is_classifier and function == "predict":
            self.chooses_by = "predict_proba"
        classes = estimator.classes_ if self._is_classifier else np.empty(0)
        self._take: Callable[..., np.ndarray] = classes.take
        members = getattr(estimator, "estimators_", [estimator])
        self._count = len(members)
        self._nan = not is_sparse and _takes_nan(members[0])
        originals = [member.tree_ for member in members]
        values = [one.value[:, 0, :] for one in originals]
        leaves = [one.children_left < 0 for one in originals]
        self._leaf_values: np.ndarray | None = None
        sums = values[0].shape[1]
        if sums == 1 or all(
            (np.count_nonzero(said[is_leaf], axis=1) == 1).all()
            for said, is_leaf in zip(values, leaves, strict=True)
        ):
            targets = [said.argmax(axis=1) for said in values]
            weights = [said.max(axis=1) for said in values]
        else:
            if self._count * sums > MAX_SUMMANDS:
                raise NoFastPath("its trees and classes are too many to add up at a time")
            self._leaf_values = np.concatenate(values)
            ends = np.cumsum([len(said) for said in values])
            weights = [
                np.arange(end - len(said), end) for end, said in zip(ends, values, strict=True)
            ]
            targets = [np.full(len(said), number) for number, said in enumerate(values)]
            sums = self._count
        trees = [
            _tree(one, target, weight)
            for one, target, weight in zip(originals, targets, weights, strict=True)
        ]
        super().__init__(trees, estimator.n_features_in_, sums)

    def scores(self, rows: Rows) -> Floats:
        """The means, (rows, classes), or (rows, 1) of a regressor. Raises BeyondError."""
        means = self._ensemble(_singles(rows, self._nan))
        if self._leaf_values is not None:
            means = self._leaf_values[means.astype(np.intp)].sum(axis=1)
        means /= self._count
        return means

    def __call__(self, rows: Rows, sizes: Sequence[int] = ()) -> np.ndarray:  # noqa: ARG002
        """Means, labels or probabilities. Raises BeyondError."""
        means = self.scores(rows)
        if not self._is_classifier:
            return means.reshape(-1)
        if self._function == "predict":
            return self._take(means.argmax(axis=1), axis=0)
        return means if self._function == "predict_proba" else _log(means)


def _log(probabilities: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def _takes_nan(estimator: Any) -> bool:
    try:
        return bool(estimator._support_missing_values(np.zeros((1, estimator.n_features_in_))))
    except AttributeError:  # then the model has the rows with NaN
        return False


def _tree(one: tree._tree.Tree, targets: np.ndarray, weights: np.ndarray) -> Tree:
    missing_left = getattr(one, "missing_go_to_left", np.zeros(one.node_count))
    return Tree(
        one.feature,
        one.threshold,
        one.children_left,
        one.children_right,
        missing_left,
        targets,
        weights,
    )


class _Boosting(_Trees):
    """A first value and the sum of what trees say, for each class or for one of two."""

    def __init__(self, estimator: Any, function: str, first: np.ndarray, trees: list[Tree]) -> None:
        self._classes: np.ndarray | None = getattr(estimator, "classes_", None)
        if function != "predict" and self._classes is None:
            raise NoFastPath(f"{function} of {type(estimator).__name__} has no equivalent")
        self._function = function
        if self._classes is not None and function == "predict":
            self.chooses_by = "decision_function"
        self._loss = estimator._loss
        self._inverse: Callable[[Floats], Floats] = self._loss.link.inverse
        # As trees of one leaf, they come first in every sum.
        starts = [constant(number, value) for number, value in enumerate(first)]
        super().__init__([*starts, *trees], estimator.n_features_in_, len(first))

    def _sums(self, rows: Rows) -> Floats:
        """The sums, (rows, sums). Raises BeyondError."""
        raise NotImplementedError

    def scores(self, rows: Rows) -> Floats:
        """The sums, (rows,) or (rows, classes). Raises BeyondError."""
        sums = self._sums(rows)
        return sums.reshape(-1) if sums.shape[1] == 1 else sums

    def __call__(self, rows: Rows, sizes: Sequence[int] = ()) -> np.ndarray:  # noqa: ARG002
        """Numbers, labels or probabilities. Raises BeyondError."""
        if self._function != "predict":
            probabilities: Floats = self._loss.predict_proba(self.scores(rows))
            return probabilities if self._function == "predict_proba" else _log(probabilities)
        scores = self.scores(rows)
        if self._classes is None:
            return self._inverse(scores)
        chosen: np.ndarray = self._is_second(scores) if scores.ndim == 1 else scores.argmax(axis=1)
        return self._classes[chosen.astype(np.intp)]

    _is_second = staticmethod(lambda sums: sums > 0)


class GradientBoosting(_Boosting):
    """GradientBoosting: trees of float32 rows."""

    def __init__(self, estimator: Any, function: str, is_sparse: bool) -> None:  # noqa: ARG002
        is_plain = isinstance(estimator.init_, DummyClassifier | DummyRegressor)
        if not is_plain and estimator.init_ != "zero":
            raise NoFastPath("a first estimator of its own has no equivalent")
        nowhere = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
        first = estimator._raw_predict_init(nowhere)[0]
        trees = []
        for members in estimator.estimators_:
            for number, member in enumerate(members):
                one = member.tree_
                weights = estimator.learning_rate * one.value[:, 0, 0]
                trees.append(_tree(one, np.full(one.node_count, number), weights))
        super().__init__(estimator, function, first, trees)

    def _sums(self, rows: Rows) -> Floats:
        return self._ensemble(_singles(rows, nan=False))

    _is_second = staticmethod(lambda sums: sums >= 0)


class HistogramBoosting(_Boosting):
    """HistGradientBoosting: trees of float64 rows that may have NaN."""

    def __init__(self, estimator: Any, function: str, is_sparse: bool) -> None:
        if is_sparse or estimator.is_categorical_ is not None:
            raise NoFastPath("its categorical features have no equivalent")
        first = np.asarray(estimator._baseline_prediction).reshape(-1)
        trees = []
        for members in estimator._predictors:
            for number, member in enumerate(members):
                nodes = member.nodes
                trees.append(
                    Tree(
                        nodes["feature_idx"].astype(np.int64),
                        nodes["num_threshold"],
                        np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.int64)),
                        nodes["right"].astype(np.int64),
                        nodes["missing_go_to_left"],
                        np.full(len(nodes), number),
                        nodes["value"],
                    )
                )
        super().__init__(estimator, function, first, trees)

    def _sums(self, rows: Rows) -> Floats:
        if len(values := matrix(rows)) > MAX_ROWS:
            raise BeyondError
        return self._ensemble(values.astype(np.float64, order="C", copy=False))
