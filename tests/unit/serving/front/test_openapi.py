"""/openapi.json as a document, and its schemas against bodies that MLflow takes."""

import jsonschema
import numpy as np
import pytest
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from openapi_spec_validator import validate

from model_server.front.openapi import Served, document
from model_server.front.schemas import answer, request
from model_server.processes.wire import Description
from model_server.server import application
from model_server.settings import load

COLUMNS = Schema(
    [
        ColSpec("double", "a"),
        ColSpec("string", "b", required=False),
        ColSpec(Array(DataType.long), "c"),
        ColSpec(Object([Property("x", "string"), Property("y", "long", required=False)]), "d"),
        ColSpec(Map(DataType.boolean), "e"),
        ColSpec(AnyType(), "f"),
        ColSpec("datetime", "g"),
        ColSpec("binary", "h"),
    ]
)
TENSOR = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
NAMED = Schema(
    [
        TensorSpec(np.dtype("int64"), (-1, 2), "ids"),
        TensorSpec(np.dtype("str"), (-1,), "words"),
    ]
)
NUMBERED = Schema([ColSpec("double", 0), ColSpec("double", 1)])
MESSAGE = Object([Property("role", "string"), Property("content", "string")])
CHAT = Schema(
    [ColSpec(Array(MESSAGE), "messages"), ColSpec("double", "temperature", required=False)]
)
PARAMS = ParamSchema([ParamSpec("t", "double", 0.5), ParamSpec("s", "string", ["x"], (-1,))])
ROW = {
    "a": 1.5,
    "b": None,
    "c": [1],
    "d": {"x": "y"},
    "e": {"k": True},
    "f": [{}],
    "g": "2026-01-02T00:00:00Z",
    "h": "AA==",
}


def described(inputs=None, outputs=None, params=None) -> Description:
    return Description(
        "sklearn",
        inputs and inputs.to_dict(),
        outputs and outputs.to_dict(),
        params and params.to_dict(),
    )


DESCRIPTIONS = {
    "none": described(),
    "columns": described(COLUMNS, COLUMNS, PARAMS),
    "one column": described(Schema([ColSpec("double", "a")]), Schema([ColSpec("long", "y")])),
    "words": described(
        Schema([ColSpec("string", "t"), ColSpec("datetime", "g")]), Schema([ColSpec("string", "y")])
    ),
    "no names": described(Schema([ColSpec("double"), ColSpec("string")])),
    "numbers for names": described(NUMBERED, NUMBERED),
    "tensor": described(TENSOR, TENSOR),
    "named tensors": described(NAMED, NAMED),
    "chat": described(CHAT),
}


def takes(schema: dict, value: object) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("manages", [False, True])
def test_document_is_valid(manages):
    served = [
        Served(name, "1", f"/models/{position}/invocations", description)
        for position, (name, description) in enumerate(DESCRIPTIONS.items())
    ]
    for default in (None, "columns", "nobody"):
        spec = document(served, default, manages=manages)
        validate(spec)
        ids = [
            operation["operationId"]
            for item in spec["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
        ]
        assert len(ids) == len(set(ids))
    assert ("deploy" in ids) == manages


def test_every_address_is_in_the_document():
    settings = load(["--models", "a=./a"])
    known = document([], None, manages=True)["paths"]
    known["/models/{name}/invocations"] = {"post": {}}
    addresses: dict[str, set[str]] = {}
    for route in application(settings, None, None, None).table:
        addresses.setdefault(route.pattern, set()).update(set(route.methods) - {"HEAD"})
    documented = {
        pattern: {method.upper() for method in item if method != "parameters"}
        for pattern, item in known.items()
    }
    assert documented == addresses


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("none", {"inputs": [[1, 2]]}),
        ("none", {"dataframe_split": {"columns": ["a"], "data": [[1]]}}),
        ("columns", {"dataframe_records": [ROW]}),
        ("columns", {"dataframe_records": [{k: v for k, v in ROW.items() if k != "b"}]}),
        ("columns", {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}}),
        ("columns", {"inputs": [ROW]}),
        ("columns", {"inputs": ROW}),
        ("columns", {"instances": {name: [value] for name, value in ROW.items()}}),
        ("columns", {"inputs": [ROW], "params": {"t": 1, "s": ["a"]}}),
        ("one column", {"inputs": [1.5, 2, None]}),
        ("words", {"dataframe_records": [{"t": None, "g": None}]}),
        ("words", {"dataframe_split": {"columns": ["t", "g"], "data": [[None, None]]}}),
        ("words", {"inputs": [{"t": "x", "g": None}]}),
        ("no names", {"inputs": [[1.5, "x"]]}),
        ("tensor", {"inputs": [[1, 2], [3, 4.5]]}),
        ("tensor", {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}),
        ("named tensors", {"inputs": {"ids": [[1, 2]], "words": ["a"]}}),
        ("named tensors", {"instances": [{"ids": [1, 2], "words": "a"}]}),
        ("chat", {"messages": [{"role": "user", "content": "hi"}], "temperature": 1}),
    ],
)
def test_good_bodies_fit(kind, body):
    assert takes(request(DESCRIPTIONS[kind]), body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("none", {}),
        ("none", []),
        ("columns", {"dataframe_records": [{k: v for k, v in ROW.items() if k != "a"}]}),
        ("columns", {"dataframe_records": [ROW | {"a": "x"}]}),
        ("columns", {"dataframe_records": [ROW | {"c": [1.5]}]}),
        ("columns", {"dataframe_records": [ROW | {"d": {}}]}),
        ("columns", {"dataframe_records": [ROW], "params": {"t": "x"}}),
        ("columns", {"dataframe_split": {"columns": ["a"], "data": [[1]]}}),
        ("one column", {"inputs": ["x"]}),
        ("words", {"inputs": [{"t": None, "g": None}]}),  # MLflow makes the word "None" of it
        ("words", {"dataframe_records": [{"t": 1, "g": None}]}),
        ("tensor", {"inputs": [1, 2]}),
        ("tensor", {"inputs": [[1, 2, 3]]}),
        ("named tensors", {"inputs": {"ids": [[1, 2]]}}),
    ],
)
def test_bad_bodies_do_not(kind, body):
    assert not takes(request(DESCRIPTIONS[kind]), body)


@pytest.mark.parametrize(
    ("kind", "predictions", "fits"),
    [
        ("none", "anything", True),
        ("one column", [1, 2], True),
        ("one column", [{"y": 1}], True),
        ("one column", [{"y": "x"}], False),
        ("words", ["x", None], True),
        ("words", [{"y": None}], True),
        ("columns", [ROW], True),
        ("tensor", [[1.5, 2]], True),
        ("tensor", [[1.5]], False),
        ("named tensors", {"ids": [[1, 2]], "words": ["a"]}, True),
    ],
)
def test_answers(kind, predictions, fits):
    assert takes(answer(DESCRIPTIONS[kind]), {"predictions": predictions}) == fits
