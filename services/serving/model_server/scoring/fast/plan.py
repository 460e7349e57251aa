"""Makes steps that repeat a fitted scikit-learn model. Only scikit-learn's own classes have
steps: one derived from them may do anything."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from model_server.scoring.fast import linear, trees
from model_server.scoring.fast.rows import Marks, NoFastPath, Prediction, Rows, Transform, matrix
from model_server.scoring.fast.transforms import TRANSFORMS, Unchanged

FUNCTIONS = ("predict", "predict_proba", "predict_log_proba")
_PREDICTIONS: dict[type, Callable[[Any, str, bool], Prediction]] = {
    **dict.fromkeys(linear.CLASSIFIERS, linear.LinearClassification),
    **dict.fromkeys(linear.REGRESSORS, linear.LinearRegression),
    **dict.fromkeys(trees.CLASSIFIERS + trees.REGRESSORS, trees.Forest),
    **dict.fromkeys(trees.BOOSTED, trees.GradientBoosting),
    **dict.fromkeys(trees.HISTOGRAM, trees.HistogramBoosting),
}
_SEARCHES = (GridSearchCV, RandomizedSearchCV)


def plan(model: Any, function: str, names: Sequence[Hashable] | None) -> Prediction:
    """What repeats `function` of a model on rows with columns of these names. Raises NoFastPath."""
    if function not in FUNCTIONS:
        raise NoFastPath(f"predicts by {function}")
    if type(model) in _SEARCHES:
        model = model.best_estimator_
    fitted = getattr(model, "feature_names_in_", None)
    by_name = type(model) is Pipeline and type(model.steps[0][1]) is ColumnTransformer
    if fitted is not None and names is not None and not by_name and list(fitted) != list(names):
        raise NoFastPath("the signature's columns are not those that it was fitted on")
    return _prediction(model, function, names, is_sparse=False)


def _prediction(
    model: Any, function: str, names: Sequence[Hashable] | None, is_sparse: bool
) -> Prediction:
    if type(model) is not Pipeline:
        if (make := _PREDICTIONS.get(type(model))) is None:
            raise NoFastPath(_none_for(model))
        return make(model, function, is_sparse)
    *before, (_, last) = model.steps
    transform = _chain([step for _, step in before], names, is_sparse)
    return _Piped(transform, _prediction(last, function, None, transform.is_sparse))


def _none_for(step: object) -> str:
    return f"{type(step).__name__} has no equivalent"


class _Piped:
    """Transforms, then predicts."""

    def __init__(self, transform: Transform, prediction: Prediction) -> None:
        self._transform = transform
        self._prediction = prediction
        self.engine = prediction.engine
        self.chooses_by = prediction.chooses_by

    def scores(self, rows: Rows) -> np.ndarray:
        return self._prediction.scores(self._transform(rows))

    def __call__(self, rows: Rows, sizes: Sequence[int] = ()) -> np.ndarray:
        return self._prediction(self._transform(rows), sizes)

    def marks(self) -> Marks:
        return self._transform.marks(self._prediction.marks())


class _Chain(Transform):
    """One transform after the other."""

    def __init__(self, steps: list[Transform], is_sparse: bool) -> None:
        self._steps = steps
        self.is_sparse = steps[-1].is_sparse if steps else is_sparse

    def __call__(self, rows: Rows) -> Rows:
        for step in self._steps:
            rows = step(rows)
        return rows

    def width(self, columns: int) -> int:
        for step in self._steps:
            columns = step.width(columns)
        return columns

    def marks(self, after: Marks) -> Marks:
        for step in reversed(self._steps):
            after = step.marks(after)
        return after


def _chain(steps: Sequence[Any], names: Sequence[Hashable] | None, is_sparse: bool) -> Transform:
    made: list[Transform] = []
    for step in steps:
        if step is None or step == "passthrough":
            continue
        made.append(_transform(step, names, is_sparse))
        is_sparse, names = made[-1].is_sparse, None
    return made[0] if len(made) == 1 else _Chain(made, is_sparse)


def _transform(step: Any, names: Sequence[Hashable] | None, is_sparse: bool) -> Transform:
    if type(step) is Pipeline:
        return _chain([one for _, one in step.steps], names, is_sparse)
    if type(step) is ColumnTransformer:
        return _ColumnSteps(step, names, is_sparse)
    if (make := TRANSFORMS.get(type(step))) is None:
        raise NoFastPath(_none_for(step))
    return make(step, is_sparse)


class _ColumnSteps(Transform):
    """A ColumnTransformer: to each group of columns its own, the results side by side."""

    def __init__(
        self, transformer: ColumnTransformer, names: Sequence[Hashable] | None, is_sparse: bool
    ) -> None:
        if transformer.transformer_weights or is_sparse:
            raise NoFastPath("a ColumnTransformer of this kind has no equivalent")
        fitted = getattr(transformer, "feature_names_in_", None)
        count = transformer.n_features_in_
        if fitted is not None and names is not None:
            places: dict[Hashable, int] = {name: place for place, name in enumerate(names)}
            self._inputs = len(names)
        else:
            fitted, places, self._inputs = range(count), {at: at for at in range(count)}, count
        self._parts: list[tuple[np.ndarray, Transform]] = []
        for name, part, selection in transformer.transformers_:
            inputs = transformer._transformer_to_input_indices[name]
            if (isinstance(part, str) and part == "drop") or not len(inputs):
                continue
            if isinstance(selection, str) or np.isscalar(selection):
                raise NoFastPath("a transformer of one column as a list has no equivalent")
            try:
                chosen = np.array([places[fitted[at]] for at in inputs], dtype=np.intp)
            except KeyError:
                raise NoFastPath("the signature lacks columns that it was fitted on") from None
            step = Unchanged() if isinstance(part, str) else _transform(part, None, False)
            self._parts.append((chosen, step))
        self.is_sparse = transformer.sparse_output_

    def __call__(self, rows: Rows) -> np.ndarray:
        parts = []
        for chosen, step in self._parts:
            if isinstance(rows, np.ndarray):
                part = step(rows[:, chosen])
            else:
                part = step([rows[at] for at in chosen])
            parts.append(matrix(part))
        return np.concatenate(parts, axis=1)

    def width(self, columns: int) -> int:  # noqa: ARG002
        return sum(step.width(len(chosen)) for chosen, step in self._parts)

    def marks(self, after: Marks) -> Marks:
        by_input: list[list[np.ndarray]] = [[] for _ in range(self._inputs)]
        start = 0
        for chosen, step in self._parts:
            stop = start + step.width(len(chosen))
            for at, marks in zip(chosen, step.marks(after[start:stop]), strict=True):
                by_input[at].append(marks)
            start = stop
        return [_together(parts) for parts in by_input]


def _together(parts: list[np.ndarray]) -> np.ndarray:
    """Marks of a column that several look at: its categories, if it has some."""
    categories = [part for part in parts if part.dtype == object]
    return categories[0] if categories else np.concatenate([np.empty(0), *parts])
