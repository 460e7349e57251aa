"""An output of the Open Inference Protocol has the name that the model's metadata promises."""

import msgspec
import numpy as np
import pandas as pd
import pytest
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from model_server.front.v2 import metadata
from model_server.processes.wire import Description, output_names
from model_server.scoring.v2 import outputs

FLOAT = np.dtype("float64")
SIGNATURES = {
    "none": None,
    "one": [ColSpec("double")],
    "one named": [ColSpec("double", "price")],
    "tensor": [TensorSpec(FLOAT, (-1, 2))],
    "named tensor": [TensorSpec(FLOAT, (-1,), "price")],
    "anything": [ColSpec(AnyType())],
    "two": [ColSpec("double"), ColSpec("double")],
    "two named": [ColSpec("double", "low"), ColSpec("double", "high")],
    "two named tensors": [TensorSpec(FLOAT, (-1,), name) for name in ("low", "high")],
}
TABLE = np.arange(6.0).reshape(3, 2)
PREDICTIONS = {
    "array": (np.arange(3.0), 1, None),
    "table": (TABLE, 2, None),
    "list": ([1.0, 2.0], 1, None),
    "table of lists": (TABLE.tolist(), 2, None),
    "texts": (["a", "b"], 1, None),
    "series": (pd.Series([1.0, 2.0]), 1, None),
    "named series": (pd.Series([1.0, 2.0], name="target"), 1, ["target"]),
    "frame of one": (pd.DataFrame({"target": [1.0]}), 1, ["target"]),
    "frame of two": (pd.DataFrame({"a": [1.0], "b": ["x"]}), 2, ["a", "b"]),
    "frame as promised": (pd.DataFrame({"high": [1.0], "low": [2.0]}), 2, ["high", "low"]),
    "dict of arrays": ({"a": np.ones(2), "b": np.ones(2)}, 2, ["a", "b"]),
    "dict of lists": ({"high": [1], "low": [2]}, 2, ["high", "low"]),
    "object": ({"answer": "yes"}, 1, ["answer"]),
    "records": ([{"low": 1, "high": 2}, {"high": 4, "low": 3}], 2, None),
    "number": (1.5, 1, None),
    "tuple of arrays": ((np.array([1.0, 2.0]), np.array([3.0, 4.0])), 2, None),
}  # fmt: skip
"""Each with the number of its outputs, and the names that it has without a signature."""


@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("kind", PREDICTIONS)
def test_outputs_are_those_of_the_metadata(kind, signature):
    prediction, count, own = PREDICTIONS[kind]
    specs = SIGNATURES[signature]
    schema = Schema(specs).to_dict() if specs else None
    description = Description(flavor="sklearn", outputs=schema)
    promised = [output["name"] for output in metadata("m", "1", description)["outputs"]]
    pairs = outputs.named(prediction, output_names(schema), "predict")
    names = [name for name, _ in pairs]
    if not promised:
        assert names == (own or ["predict"])
    elif len(promised) in (1, count):
        assert sorted(names) == sorted(promised)
    for name, values in pairs:
        assert msgspec.json.encode(outputs.output(name, values))


def test_each_name_has_its_own_values():
    names = ["low", "high"]
    two = Schema(SIGNATURES["two named"]).to_dict()
    for kind in ("frame as promised", "dict of lists"):
        pairs = outputs.named(PREDICTIONS[kind][0], output_names(two), "predict")
        assert {name: list(values) for name, values in pairs} == {"low": [2], "high": [1]}
    records = dict(outputs.named(PREDICTIONS["records"][0], names, "predict"))
    assert records == {"low": [1, 3], "high": [2, 4]}
    pairs = outputs.named(PREDICTIONS["tuple of arrays"][0], names, "predict")
    assert [(name, list(values)) for name, values in pairs] == [("low", [1, 2]), ("high", [3, 4])]
    for kind in ("table", "table of lists"):
        low, high = outputs.named(PREDICTIONS[kind][0], names, "predict")
        assert (low[0], list(low[1])) == ("low", [0, 2, 4])
        assert (high[0], list(high[1])) == ("high", [1, 3, 5])
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    ((name, values),) = outputs.named(frame, ["predict"], "predict")
    assert outputs.output(name, values)["shape"] == [2, 2]
