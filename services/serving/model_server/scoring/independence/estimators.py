"""Whether an estimator answers each row from that row alone: known when every part of it is.

Every attribute is followed, fitted parts and hyperparameters alike, by the types of what is there:
numbers, texts, arrays and the helpers of scikit-learn, numpy, scipy and pandas are data; an
estimator must be of a class on the tables, exactly, since a subclass can do anything; a function
must be one that is known to work on each number, or of use to `fit` alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator

from model_server.scoring.independence import foreign, rowwise

LOOKS = "may look at all rows of a prediction; serving.batch=on says that it does not"
_LIBRARIES = {
    *("builtins", "collections", "datetime", "decimal", "joblib", "numpy", "pandas", "re", "scipy")
}
_SAYS_SO = {"sklearn", "builtins"}
"""Also of classes that were made by `exec`, or that want to be taken for another."""
_METHODS = {*rowwise.FUNCTIONS, "decision_function", "transform", "inverse_transform"}


def why_not(estimator: object, function: str = "predict") -> str | None:
    """The step that may look at all rows when `function` is called, and why; None without one."""
    if function not in rowwise.FUNCTIONS:
        return f"the function {function} need not give one answer a row"
    seen: dict[int, object] = {}  # with the objects, as a number is used again when its object goes
    waiting = [("", "", estimator)]
    while waiting:
        step, attribute, part = waiting.pop()
        if id(part) in seen or _is_plain(part):
            continue
        seen[id(part)] = part
        if why := _why_not_one(attribute, part):
            return f"{f'the step {step!r}' if step else 'the model'} {why}"
        # Reversed, so that the first of the steps is the first that is looked at.
        waiting += reversed([(name or step, at, inner) for name, at, inner in _parts(part)])
    return None


def _is_plain(part: object) -> bool:
    if part is None:
        return True
    if isinstance(part, type):  # a dtype; one's own may be called as a function
        return part.__module__.partition(".")[0] in _LIBRARIES
    if isinstance(part, str | bytes | int | float | complex | np.generic):
        return type(part).__module__ in ("builtins", "numpy")  # a class of one's own does anything
    return type(part) is np.ndarray and part.dtype != object


def _why_not_one(attribute: str, part: object) -> str | None:
    """Why the object itself may look at all rows, whatever its parts do."""
    if isinstance(part, type):
        return _of_own(part)
    kind = type(part)
    library = kind.__module__.partition(".")[0]
    own = {name for name in getattr(part, "__dict__", ()) if _is_method(kind, name)}
    if isinstance(part, BaseEstimator) or own or hasattr(kind, "fit"):
        if own:
            return f"({kind.__name__}, whose {min(own)} was replaced) {LOOKS}"
        return _why_not_estimator(part)
    if _is_function(part):
        return None if _is_known(attribute, part) else f"({_name(part)}) {LOOKS}"
    if isinstance(part, dict | list | tuple | set | frozenset | np.ndarray):
        return None if library in {"builtins", *_LIBRARIES, "sklearn"} else _of_own(kind)
    if library in _LIBRARIES - {"builtins"} or (library in _SAYS_SO and _is_public(kind)):
        return None
    full = f"{kind.__module__}.{kind.__qualname__}"
    return None if full in foreign.ROWWISE else _of_own(kind)


def _is_method(kind: type, name: str) -> bool:
    of_class = getattr(kind, name, None)
    return name in _METHODS or (callable(of_class) and not isinstance(of_class, type))


def _why_not_estimator(estimator: Any) -> str | None:
    kind = type(estimator)
    full = f"{kind.__module__}.{kind.__qualname__}"
    if full in foreign.ROWWISE | foreign.PIPELINES and _is_public(kind):
        return None
    if not kind.__module__.startswith("sklearn.") or not _is_public(kind):
        return _of_own(kind)
    name = f"{kind.__module__.split('.')[1]}.{kind.__name__}"
    if why := rowwise.DEPENDENT.get(name):
        return f"({kind.__name__}) {why}"
    if name not in rowwise.ROWWISE:
        return _of_own(kind)
    rule = _RULES.get(name)
    return rule(estimator) if rule else _calls(estimator)


def _of_own(kind: type) -> str:
    return f"({kind.__name__} of {kind.__module__}) {LOOKS}"


def _is_public(kind: type) -> bool:
    """Whether a class is what its library has under its name, not one that says so."""
    return getattr(sys.modules.get(kind.__module__), kind.__name__, None) is kind


def _parts(whole: object) -> Iterator[tuple[str, str, object]]:
    """Name of the step, name of the attribute, and the part itself."""
    kind = type(whole)
    full = f"{kind.__module__}.{kind.__qualname__}"
    if full in foreign.ROWWISE or _is_function(whole):
        return
    if isinstance(whole, dict):
        for name, part in whole.items():
            yield str(name) if hasattr(part, "fit") else "", "", part
    elif isinstance(whole, list | tuple | set | frozenset):
        step = ""
        if type(whole) is tuple and len(whole) in (2, 3) and isinstance(whole[0], str):
            step = whole[0]
        for part in whole:
            yield step, "", part
    elif isinstance(whole, np.ndarray):
        for part in whole.ravel().tolist():
            yield "", "", part
    elif kind.__module__.partition(".")[0] in ("sklearn", "imblearn"):
        yield from _attributes(whole, is_resampling=full in foreign.PIPELINES)


def _attributes(estimator: object, is_resampling: bool) -> Iterator[tuple[str, str, object]]:
    values = getattr(estimator, "__dict__", {})
    for name, part in values.items():
        if name in rowwise.FIT_ONLY or _is_prototype(name, values):
            continue
        if is_resampling and name == "steps":
            part = [step for step in part if not hasattr(step[1], "fit_resample")]
        yield "", name, part


def _is_prototype(name: str, values: Mapping[str, object]) -> bool:
    """Whether `fit` made of this hyperparameter what predictions use instead."""
    if f"{name}_" in values:
        return True
    fitted = {"estimators_", "estimator_", "best_estimator_", "calibrated_classifiers_"}
    return name in ("base_estimator", "estimator") and bool(fitted & values.keys())


def _is_function(value: object) -> bool:
    """Also numpy's own and those made by functools; not objects that have data, like splines."""
    if isinstance(value, np.ufunc) or type(value).__name__ in ("partial", "vectorize"):
        return True
    return callable(value) and hasattr(value, "__name__")


def _name(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _is_known(attribute: str, function: object) -> bool:
    if attribute in ("func", "inverse_func"):
        return _is_elementwise(function)
    if attribute == "pooling_func":
        return any(function is getattr(np, name) for name in rowwise.POOLING)
    # A fitted constant, which the class's own code makes.
    return attribute == "f_" and getattr(function, "__module__", "") == "sklearn.isotonic"


def _is_elementwise(function: object) -> bool:
    name = _name(function)
    if isinstance(function, np.ufunc):
        is_own = function in (getattr(np, name, None), getattr(special, name, None))
        return is_own and function.nin == 1 and function.signature is None
    return name in rowwise.ELEMENTWISE and function is getattr(np, name)


def _calls(estimator: Any) -> str | None:
    """Why a hyperparameter that is a function may look at all rows."""
    values = estimator.__dict__
    for name, value in values.items():
        if name in rowwise.FIT_ONLY or not _is_function(value) or isinstance(value, type):
            continue
        if not _is_prototype(name, values) and not _is_known(name, value):
            return f"({type(estimator).__name__} with the {name} {_name(value)}) {LOOKS}"
    return None


def _of_function(estimator: Any) -> str | None:
    for name, arguments in (("func", "kw_args"), ("inverse_func", "inv_kw_args")):
        function = getattr(estimator, name)
        if function is None:
            continue
        keywords = getattr(estimator, arguments) or {}
        # Where a ufunc is told to leave numbers out, there is what the memory held before.
        is_whole = not keywords.keys() & {"out", "where"}
        if not (is_whole and _is_elementwise(function) and all(map(_is_scalar, keywords.values()))):
            return f"(FunctionTransformer of {_name(function)}) {LOOKS}"
    return None


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool | np.generic)


def _of_neighbors(estimator: Any) -> str | None:
    method = getattr(estimator, "_fit_method", None)  # None before fit
    metric = getattr(estimator, "effective_metric_", None)
    if why := _calls(estimator):
        return why
    if method in (None, *rowwise.TREES) or metric in rowwise.PAIRWISE:
        return None
    return f"({type(estimator).__name__} by brute force) {rowwise.DEPENDENT['impute.KNNImputer']}"


def _of_radius(estimator: Any) -> str | None:
    """A row without neighbours gets NaN, cut down to an integer where all rows are such."""
    if estimator._y.dtype.kind != "f":
        return (
            f"({type(estimator).__name__} of integers) answers a row without neighbours otherwise "
            "when others have some"
        )
    return _of_neighbors(estimator)


def _of_propagation(estimator: Any) -> str | None:
    if estimator.kernel == "knn":
        return None
    return (
        f"({type(estimator).__name__} with the kernel {estimator.kernel}) chooses labels far from "
        "all that it was fitted on by what rounding leaves, which differs with the number of rows"
    )


def _of_dummy(estimator: Any) -> str | None:
    if estimator.strategy in rowwise.NO_DRAWS:
        return None
    return (
        f"({type(estimator).__name__} with the strategy {estimator.strategy}) draws random numbers"
    )


_RULES: dict[str, Callable[[Any], str | None]] = {
    "preprocessing.FunctionTransformer": _of_function,
    "dummy.DummyClassifier": _of_dummy,
    "dummy.DummyRegressor": _of_dummy,
    "neighbors.RadiusNeighborsRegressor": _of_radius,
    "semi_supervised.LabelPropagation": _of_propagation,
    "semi_supervised.LabelSpreading": _of_propagation,
    **{
        f"neighbors.{name}": _of_neighbors
        for name in (
            "KNeighborsClassifier",
            "KNeighborsRegressor",
            "KNeighborsTransformer",
            "LocalOutlierFactor",
            "NearestNeighbors",
            "RadiusNeighborsClassifier",
            "RadiusNeighborsTransformer",
        )
    },
}
