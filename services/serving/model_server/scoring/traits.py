"""Traits of a model that caveats are about: names of columns, outputs and the like, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType
from mlflow.types.schema import Array, Map, Object

from model_server.scoring.batching import split
from model_server.scoring.independence import same
from model_server.scoring.loading import flavor
from model_server.scoring.table import Table


def _inputs(model: PyFuncModel) -> Iterator[tuple[str, object]]:
    """Names and types of the signature's columns or tensors; none where it is from type hints, by
    which MLflow takes only what fits them as it is."""
    if model.metadata._is_signature_from_type_hint():
        return
    schema = model.metadata.get_input_schema()
    for at, spec in enumerate(schema.inputs if schema else ()):
        unnamed = f"column {at}" if len(schema.inputs) > 1 else "the input"
        yield unnamed if spec.name in (None, "") else str(spec.name), spec.type


def columns_of(*kinds: object) -> Callable[[PyFuncModel], list[str]]:
    """Columns and tensors of one of these types: MLflow's, or the letters of numpy's kinds."""

    def concerns(model: PyFuncModel) -> list[str]:
        return [
            name
            for name, kind in _inputs(model)
            if (kind.kind if isinstance(kind, np.dtype) else kind) in kinds
        ]

    return concerns


def float32_columns(model: PyFuncModel) -> list[str]:
    """Columns and tensors of float32."""
    return [name for name, kind in _inputs(model) if kind in (DataType.float, np.dtype("float32"))]


def _within(kind: object) -> Iterator[DataType]:
    """The types that a list, object or map is made of."""
    if isinstance(kind, Array):
        yield from _leaves(kind.dtype)
    elif isinstance(kind, Map):
        yield from _leaves(kind.value_type)
    elif isinstance(kind, Object):
        for part in kind.properties:
            yield from _leaves(part.dtype)


def _leaves(kind: object) -> Iterator[DataType]:
    if isinstance(kind, DataType):
        yield kind
    yield from _within(kind)


def columns_holding(*kinds: DataType) -> Callable[[PyFuncModel], list[str]]:
    """Columns of lists, objects and maps that have one of these types in them."""

    def concerns(model: PyFuncModel) -> list[str]:
        return [name for name, kind in _inputs(model) if any(one in kinds for one in _within(kind))]

    return concerns


def lists_of_texts(model: PyFuncModel) -> list[str]:
    """Columns that have lists of texts in them."""

    def has_them(kind: object) -> bool:
        if isinstance(kind, Array):
            return kind.dtype == DataType.string or has_them(kind.dtype)
        if isinstance(kind, Map):
            return has_them(kind.value_type)
        return isinstance(kind, Object) and any(has_them(part.dtype) for part in kind.properties)

    return [name for name, kind in _inputs(model) if has_them(kind)]


def optional_texts(model: PyFuncModel) -> list[str]:
    """Text columns of a scikit-learn model that may be missing."""
    schema = model.metadata.get_input_schema()
    if flavor(model) != "sklearn" or schema is None or schema.is_tensor_spec():
        return []
    return [
        spec.name for spec in schema.inputs if spec.type == DataType.string and not spec.required
    ]


def is_another_alone(model: PyFuncModel, rows: Table, name: str) -> bool:
    """Whether a row with a null in this text column is answered in another way alone than beside
    one that has a text there."""
    row = rows.part(0, 1).frame()
    texts = [text for text in rows.frame()[name] if isinstance(text, str)]
    alone, beside = row.copy(), pd.concat([row, row], ignore_index=True)
    alone[name] = pd.Series([None], dtype=object)
    beside[name] = [None, texts[0]]
    expected = split(model.predict(beside), [1, 1])[0]
    try:
        return not same(split(model.predict(alone), [1])[0], expected)
    except Exception:  # the model's own
        return True


def mixed_without_names(model: PyFuncModel) -> list[str]:
    """The first type of columns that have no names and not all one type."""
    schema = model.metadata.get_input_schema()
    if schema is None or schema.is_tensor_spec() or schema.has_input_names():
        return []
    kinds = [str(kind) for kind in schema.input_types()]
    return [kinds[0]] if len(set(kinds)) > 1 else []


def params(model: PyFuncModel) -> list[str]:
    """Names of the params."""
    schema = model.metadata.get_params_schema()
    return [param.name for param in schema.params] if schema else []


def by_position(model: PyFuncModel) -> list[str]:
    """The flavor, where nobody looks at the names of columns."""
    kind = flavor(model)
    if model.metadata.signature is not None:
        return []
    if kind == "statsmodels":
        from statsmodels.tsa.base.tsa_model import TimeSeriesModel

        own = model.get_raw_model().model
        return [] if isinstance(own, TimeSeriesModel) or hasattr(own, "formula") else [kind]
    if kind == "onnx" and len(model.get_raw_model().get_inputs()) > 1:
        return []
    return [kind] if kind in ("lightgbm", "onnx", "pytorch") else []


def flattened_outputs(model: PyFuncModel) -> list[str]:
    """Outputs of an ONNX graph with more than one number a row."""
    schema = model.metadata.get_input_schema()
    if flavor(model) != "onnx" or (schema is not None and schema.is_tensor_spec()):
        return []
    outputs = model.get_raw_model().get_outputs()
    return [one.name for one in outputs if len(one.shape or ()) > 1 and one.shape[1] != 1]


def pandas_categories(model: PyFuncModel) -> list[str]:
    """The flavor, where the model was trained on pandas' categories."""
    kind = flavor(model)
    if kind not in ("lightgbm", "xgboost"):
        return []
    own = model.get_raw_model()
    if kind == "lightgbm":
        booster = getattr(own, "booster_", own)
        return [kind] if any(booster.pandas_categorical or ()) else []
    booster = own.get_booster() if hasattr(own, "get_booster") else own
    return [kind] if "c" in (booster.feature_types or ()) else []


def _nodes(model: PyFuncModel) -> Iterator[Any]:
    """Nodes of a graph that torch.export made."""
    if flavor(model) == "pytorch":
        yield from getattr(getattr(model.get_raw_model(), "graph", None), "nodes", ())


def fixed_rows(model: PyFuncModel) -> list[str]:
    """The number of rows that an exported graph takes, where it takes no other."""
    shapes = [
        node.meta["val"].shape
        for node in _nodes(model)
        if node.op == "placeholder" and len(getattr(node.meta.get("val"), "shape", ()))
    ]
    return [str(shape[0]) for shape in shapes if isinstance(shape[0], int)][:1]


def in_training(model: PyFuncModel) -> list[str]:
    """Operations of such a graph that are as in training."""
    operations: dict[str, None] = {}
    for node in _nodes(model):
        name = str(node.target).removeprefix("aten.").partition(".")[0]
        at = {"dropout": 2, "batch_norm": 5, "feature_dropout": 2, "alpha_dropout": 2}.get(name)
        if at is not None and len(node.args) > at and node.args[at] is True:
            operations[name] = None
    return list(operations)
