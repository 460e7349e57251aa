"""Models from code: signatures of every kind in front of a model that repeats what it was given, to
the last type; and one that returns and raises all sorts of things."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property

from tests.integration.serving.reference import variations as make
from tests.integration.serving.reference.model import PYFUNCS, Model
from tests.integration.serving.reference.pyfuncs import moods
from tests.integration.serving.reference.variations import Requests


def _saved(
    inputs: list | None, params: ParamSchema | None = None, file: str = "echo"
) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(PYFUNCS / f"{file}.py"),
            signature=ModelSignature(inputs and Schema(inputs), params=params)
            if inputs or params
            else None,
            pip_requirements=["pandas"],
        )

    return save


# Columns.

TYPED = {
    "double": 0.1,
    "float": 0.5,
    "long": 5,
    "integer": 7,
    "boolean": True,
    "string": "text",
    "binary": "AP8=",
    "datetime": "2024-01-31T12:00:00",
}
TYPED_ROWS = [
    TYPED,
    TYPED | {"double": 2.5, "long": -1, "boolean": False, "string": "ä", "datetime": "1999-12-31"},
]
NESTED = {
    "numbers": [1.5, 2.0],
    "matrix": [[1, 2], [3]],
    "texts": ["a", "b"],
    "object": {"name": "x", "size": 1.5},
    "objects": [{"id": 1, "tags": ["x"]}],
    "map": {"k": ["v"]},
    "anything": {"x": [1, "y", None]},
    "any list": [1, "x", None],
    "number": 1.5,
}
NESTED_COLUMNS = [
    ColSpec(Array(DataType.double), "numbers"),
    ColSpec(Array(Array(DataType.long)), "matrix"),
    ColSpec(Array(DataType.string), "texts"),
    ColSpec(
        Object(
            [
                Property("name", DataType.string),
                Property("size", DataType.double),
                Property("note", DataType.string, required=False),
            ]
        ),
        "object",
    ),
    ColSpec(
        Array(
            Object(
                [
                    Property("id", DataType.long),
                    Property("tags", Array(DataType.string), required=False),
                ]
            )
        ),
        "objects",
    ),
    ColSpec(Map(Array(DataType.string)), "map"),
    ColSpec(AnyType(), "anything", required=False),
    ColSpec(Array(AnyType()), "any list", required=False),
    ColSpec(DataType.double, "number"),
]
AB = [{"a": 1.5, "b": 2}, {"a": 2.5, "b": 3}]
AB_COLUMNS = [ColSpec("double", "a"), ColSpec("long", "b")]


def _frames(
    rows: list[make.Row], inputs: list | None, tried: list[str], formats: tuple[str, ...]
) -> Model:
    """`tried`: the columns that get all kinds of values."""
    return Model(_saved(inputs), lambda: make.shapes(rows) | make.values(rows, tried, formats))


# Params.

PARAMS = {
    "double": ("double", 0.5, None),
    "float": ("float", 0.5, None),
    "long": ("long", 5, None),
    "integer": ("integer", 5, None),
    "boolean": ("boolean", False, None),
    "string": ("string", "x", None),
    "datetime": ("datetime", np.datetime64("2024-01-31"), None),
    "optional": ("string", None, None),
    "doubles": ("double", [0.5], (-1,)),
    "longs": ("long", [1, 2], (-1,)),
    "strings": ("string", ["x"], (-1,)),
}
PARAM_SCHEMA = ParamSchema(
    [ParamSpec(name, kind, default, shape) for name, (kind, default, shape) in PARAMS.items()]
)
PARAMS_GIVEN = {
    "unknown": {"unknown": 1},
    "known and unknown": {"unknown": 1, "double": 1.0},
    "list of floats": {"doubles": [1.5, 2]},
    "list of null": {"doubles": [None]},
    "list of longs and floats": {"longs": [1, 2.5]},
    "list of texts and numbers": {"strings": ["x", 1]},
    "two wrong": {"double": "x", "long": "x"},
    "all": {"double": 1, "float": 1.0, "long": 1, "integer": 1, "boolean": True, "string": ""},
    "nothing": {},
    "null": None,
    "a list": [1],
    "a text": "x",
    "a number": 0,
    "false": False,
}


def _params_requests() -> Requests:
    made = {"split": make.split(AB), "csv": make.csv(AB)}
    for name in PARAMS:
        made |= make.params(name, AB)
    return made | {
        **{f"params: {name}": make.split(AB, params=p) for name, p in PARAMS_GIVEN.items()},
        "unwrapped": make.body(messages=["x"], double=2.5, other=1),
        "unwrapped, wrong param": make.body(prompt="x", double="x"),
        "params beside inputs": make.body(inputs=make.columnwise(AB), params={"double": 2}),
        "param outside": make.split(AB, double=2.5),
    }


# Tensors.


def _tensor(kind: str, shape: tuple[int, ...], example: list, deepest: object) -> Model:
    """`deepest`: one of the example's numbers, in whose place others are tried."""
    flat = [{str(i): value for i, value in enumerate(np.ravel(row).tolist())} for row in example]
    return Model(
        _saved([TensorSpec(np.dtype(kind), shape)]),
        lambda: (
            make.tensors(example, deepest)
            | {f"frame: {name}": form(flat) for name, form in make.FORMATS.items()}
            | {"frame of lists": make.split([{"x": row} for row in example])}
        ),
    )


NAMED_TENSORS = [
    TensorSpec(np.dtype("float32"), (-1, 2), "x"),
    TensorSpec(np.dtype("int64"), (-1,), "ids"),
    TensorSpec(np.dtype("str"), (-1,), "words"),
]
NAMED = {"x": [[1.5, 2.5], [3.5, 4.5]], "ids": [1, 2], "words": ["a", "b"]}
SCALARS = ("split", "records", "inputs", "instances", "csv")

FROM_CODE = {
    "moods": Model(
        _saved([ColSpec("string", "mood")], file="moods"),
        lambda: {mood: make.split([{"mood": mood}]) for mood in (*moods.ALL, "nothing known")},
    ),
    "typed": _frames(TYPED_ROWS, [ColSpec(kind, kind) for kind in TYPED], TYPED, SCALARS),
    "typed-optional": _frames(
        TYPED_ROWS,
        [ColSpec(kind, kind, required=False) for kind in TYPED],
        TYPED,
        ("split", "inputs"),
    ),
    "nested": _frames(
        [NESTED, NESTED | {"number": 2}],
        NESTED_COLUMNS,
        NESTED,
        ("records", "inputs", "instances"),
    ),
    "unsigned": _frames(TYPED_ROWS, None, ["double"], SCALARS),
    "unnamed": _frames(AB, [ColSpec("double"), ColSpec("long")], ["a", "b"], ("split", "inputs")),
    "one-text": Model(
        _saved([ColSpec("string", "text")]),
        lambda: make.texts() | make.values([{"text": "x"}], ["text"], SCALARS),
    ),
    "one-unnamed-text": Model(
        _saved([ColSpec("string")]),
        lambda: make.texts() | make.values([{"text": "x"}], ["text"], ("split", "inputs")),
    ),
    "params": Model(_saved(AB_COLUMNS, PARAM_SCHEMA), _params_requests),
    "params-alone": Model(
        _saved(None, PARAM_SCHEMA), lambda: make.shapes(AB) | make.params("double", AB)
    ),
    "tensor-float32": _tensor("float32", (-1, 2), [[1.5, 2.5], [3.5, 4.5]], 2.5),
    "tensor-image": _tensor("uint8", (-1, 2, 2, 1), [[[[1], [2]], [[3], [4]]]] * 2, 3),
    "tensor-fixed": _tensor("int32", (2, 2), [[1, 2], [3, 4]], 4),
    "tensor-text": _tensor("str", (-1, 2), [["a", "b"], ["c", "d"]], "b"),
    "tensor-boolean": _tensor("bool", (-1, 2), [[True, False], [False, True]], True),
    "tensor-ragged": _tensor("object", (-1,), [[1, 2], [3]], 3),
    "tensor-any-length": _tensor("float64", (-1, -1), [[1.5, 2.5], [3.5, 4.5]], 2.5),
    "tensors-named": Model(_saved(NAMED_TENSORS), lambda: make.named_tensors(NAMED)),
}
