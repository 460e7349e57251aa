"""Whether requests may be merged: where rows are independent by the kind of model, or somebody
said so, and then only when predictions one by one and together are equal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from model_server.scoring.batching import NotSplittableError, Predict, split
from model_server.scoring.call import Call
from model_server.scoring.table import Table, merged

TOLERANCE = 1e-12
"""Of floats, relative and absolute; anything else is equal or not."""

_KINDS = {"sklearn", "xgboost", "lightgbm", "onnx"}
_ROWS = 4
"""Of the input example, and as many made from them."""


def flavor(model: PyFuncModel) -> str:
    """That it is loaded with."""
    loader = model.loader_module or ""
    name = loader.removeprefix("mlflow.").partition(".")[0]
    return "python_function" if name == "pyfunc" or not loader.startswith("mlflow.") else name


def why_not_batched(
    model: PyFuncModel, wanted: bool | None, example: Call | None, predict: Predict
) -> str | None:
    """The reason for which requests are predicted one by one; None when they are merged."""
    if wanted is False:
        return "switched off"
    kind = flavor(model)
    if wanted is None:
        if kind not in _KINDS:
            return f"rows of the flavor {kind} need not be independent; serving.batch=on says so"
        if kind == "onnx" and not _has_free_rows(model):
            return "the first dimension of its inputs is fixed"
    if example is None:
        return "it has no signature, or input example, of rows that can be merged"
    return _difference(example.table, lambda table: predict(table, example.params))


def _has_free_rows(model: PyFuncModel) -> bool:
    inputs = model.get_raw_model().get_inputs()
    return all(one.shape and not isinstance(one.shape[0], int) for one in inputs)


def _difference(example: Table, predict: Callable[[Table], object]) -> str | None:
    """Between predictions one by one and together, on the example and on rows made from it."""
    rows = [example.part(at, at + 1) for at in range(min(example.rows, _ROWS))]
    try:
        alone = [predict(row) for row in rows]
    except Exception as error:
        return f"it raises {type(error).__name__} on what it is to be proven on"
    random = np.random.default_rng(0)
    for at in range(_ROWS):
        row = _varied(rows[at % example.rows], random)
        with contextlib.suppress(Exception):  # the model may have its reasons
            alone.append(predict(row))
            rows.append(row)
    try:
        together = split(predict(merged(rows)), [1] * len(rows))
        alone = [split(one, [1])[0] for one in alone]
    except NotSplittableError as error:
        return f"predictions cannot be told apart by rows: {error}"
    except Exception as error:
        return f"rows that can be predicted alone cannot be together: {type(error).__name__}"
    if len(rows) == 1:
        return "there is no second row to prove it on"
    try:
        is_same = all(map(same, alone, together))
    except Exception as error:  # objects of the model's own
        return f"predictions cannot be compared: {type(error).__name__}"
    return None if is_same else "predictions together are not those alone"


def _varied(row: Table, random: np.random.Generator) -> Table:
    """Another row, of numbers near those of `row`."""

    def vary(values: np.ndarray) -> np.ndarray:
        match values.dtype.kind:
            case "f":
                other = values * random.uniform(0.5, 1.5, values.shape)
                return (other + random.normal(0, 0.1, values.shape)).astype(values.dtype)
            case "i" | "u":
                return (values * random.uniform(0.5, 1.5, values.shape)).astype(values.dtype)
            case "b":
                return random.integers(0, 2, values.shape).astype(bool)
        return values

    if row.block is not None:
        return Table(row.names, block=vary(row.block), is_tensor=row.is_tensor)
    return Table(row.names, columns=[vary(one) for one in row.columns], is_tensor=row.is_tensor)


def same(one: object, other: object) -> bool:
    """Of two predictions: floats within the tolerance, NaN like NaN, all else equal."""
    if isinstance(one, pd.DataFrame) and isinstance(other, pd.DataFrame):
        one, other = one.to_dict("list"), other.to_dict("list")
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray | pd.Series) and isinstance(other, np.ndarray | pd.Series):
        one, other = np.asarray(one), np.asarray(other)
        if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
            return False
        if one.dtype.kind == "f":
            return bool(np.allclose(one, other, TOLERANCE, TOLERANCE, equal_nan=True))
        return same(one.tolist(), other.tolist())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float | np.floating) and isinstance(other, float | np.floating):
        return bool(np.isclose(one, other, TOLERANCE, TOLERANCE, equal_nan=True))
    return type(one) is type(other) and bool(one == other)
