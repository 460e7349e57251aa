"""Open Inference Protocol requests, as what real models are given, and their predictions."""

import base64
import datetime
import json
import math
import time

import mlflow
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, Object, Property

from model_server.errors import RefusedError
from model_server.processes import wire
from model_server.scoring.v2.reader import V2Reader


class Echo(mlflow.pyfunc.PythonModel):
    """Remembers what it was given, and returns or raises what it is told."""

    def __init__(self, returns=None):
        self.returns = returns

    def predict(self, context, model_input, params=None):  # noqa: ARG002
        Echo.seen = (model_input, params)
        if isinstance(self.returns, Exception):
            raise self.returns
        return self.returns if self.returns is not None else np.arange(2.0)


class Reader:
    """A V2Reader of a model that is made for one test."""

    def __init__(self, inputs=None, outputs=None, params=None, returns=None) -> None:
        signature = None
        if inputs or outputs or params:
            signature = ModelSignature(
                inputs and Schema(inputs), outputs and Schema(outputs), ParamSchema(params or [])
            )
            if not params:
                signature.params = None
        meta = mlflow.models.Model(signature=signature)
        meta.add_flavor("python_function", loader_module="mlflow.pyfunc.model")
        implementation = mlflow.pyfunc.model._PythonModelPyfuncWrapper(Echo(returns), None, None)
        self.model = mlflow.pyfunc.PyFuncModel(model_meta=meta, model_impl=implementation)
        self.reader = V2Reader(self.model, "echo", "3", self.failure)

    def failure(self, error, _):
        return RefusedError(400, "BAD_REQUEST", repr(error))

    def request(self, body, content_type="application/json") -> wire.Request:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return wire.Request(1, "id", content_type, content, time.monotonic() + 9, wire.V2)

    def call(self, body):
        return self.reader.read(self.request(body))

    def alone(self, body):
        request = self.request(body)
        assert self.reader.read(request) is None
        answer = msgspec.json.decode(self.reader.answer_alone(request))
        return Echo.seen[0], answer

    def refusal(self, body, status=422, content_type="application/json") -> str:
        request = self.request(body, content_type)
        with pytest.raises(RefusedError) as caught:
            self.reader.read(request) or self.reader.answer_alone(request)
        assert caught.value.status == status
        return str(caught.value)


def tensor(name, datatype, data, shape=None, **parameters) -> dict:
    content = {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}
    return content | ({"parameters": parameters} if parameters else {})


def body(*tensors, **more) -> dict:
    return {"inputs": list(tensors), **more}


def columns(**types) -> list[ColSpec]:
    return [ColSpec(kind, name) for name, kind in types.items()]


def test_one_type_of_number_is_a_block():
    reader = Reader(columns(a="double", b="double"))
    expected = [[1.0, 3.0], [2.0, 4.0]]
    for request in (
        body(tensor("b", "FP64", [3, 4]), tensor("a", "INT32", [1, 2], [2, 1])),
        body(tensor("anything", "FP32", [1, 3, 2, 4], [2, 2])),
        body(tensor("anything", "FP64", [[1, 3], [2, 4]], [2, 2], content_type="np")),
    ):
        table = reader.call(request).table
        assert list(table.names) == ["a", "b"]
        assert table.block.dtype == np.float64
        assert table.block.tolist() == expected


def test_every_column_type():
    reader = Reader(
        columns(
            b="boolean", i="integer", l="long", f="float", d="double", s="string", y="binary",
            t="datetime",
        )
    )  # fmt: skip
    table = reader.call(
        body(
            tensor("b", "BOOL", [True]),
            tensor("i", "INT8", [-1]),
            tensor("l", "UINT32", [7]),
            tensor("f", "FP64", [0.1]),
            tensor("d", "INT64", [2]),
            tensor("s", "BYTES", ["x"], [1, 1]),
            tensor("y", "BYTES", [base64.b64encode(b"\x00").decode()]),
            tensor("t", "BYTES", ["2026-01-02T04:00:00+03:00"]),
        )
    ).table
    row = table.frame().iloc[0].tolist()
    assert row == [True, -1, 7, np.float32(0.1), 2, "x", b"\x00", pd.Timestamp(2026, 1, 2, 1)]
    kinds = [array.dtype for array in table.columns]
    assert kinds == ["bool", "i4", "i8", "f4", "f8", "O", "O", "M8[ns]"]


def test_frame_has_the_types_that_mlflow_makes():
    """What the model is given is what MLflow's check would let through unchanged."""
    reader = Reader(columns(i="integer", s="string", t="datetime", f="float"))
    table = reader.call(
        body(
            tensor("i", "INT64", [1]),
            tensor("s", "BYTES", ["x"]),
            tensor("t", "BYTES", ["2026-01-02"]),
            tensor("f", "FP32", [None]),
        )
    ).table
    reader.model.predict(table.frame())
    pd.testing.assert_frame_equal(Echo.seen[0], table.frame())


@pytest.mark.parametrize(
    ("kind", "datatype", "data"),
    [
        ("long", "FP64", [1.5]),
        ("long", "FP64", [None]),
        ("long", "UINT64", [2**63]),
        ("integer", "INT64", [2**31]),
        ("float", "FP64", [1e39]),
        ("boolean", "INT8", [2]),
        ("double", "BYTES", ["1"]),
        ("string", "INT8", [1]),
        ("binary", "BYTES", ["not base64"]),
        ("datetime", "BYTES", ["yesterday"]),
        ("datetime", "INT64", [1]),
    ],
)
def test_values_that_do_not_fit_a_column(kind, datatype, data):
    reader = Reader(columns(x=kind))
    message = reader.refusal(body(tensor("x", datatype, data)))
    assert message.startswith("Input 'x': ")


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ([tensor("a", "FP64", [1])], "Inputs are missing: b."),
        ([tensor("a", "FP64", [1]), tensor("b", "FP64", [1, 2])], "differ in their first"),
        ([tensor(name, "FP64", [1]) for name in "abc"], "no such inputs: c."),
        ([tensor("a", "FP64", [1]), tensor("a", "FP64", [1])], "Two inputs have one name."),
        ([tensor("x", "FP64", [1, 2, 3], [1, 3])], "its shape is not [n, 2]"),
        ([tensor("x", "FP64", [1, 2], [2])], "its shape is not [n, 2]"),
        ([tensor("a", "FP64", [1, 2], [1, 2]), tensor("b", "FP64", [1])], "neither [n] nor [n, 1]"),
        ([], "There are no inputs."),
    ],
)
def test_tensors_that_do_not_fit_the_columns(tensors, why):
    assert why in Reader(columns(a="double", b="double")).refusal(body(*tensors))


def test_bodies_that_are_no_requests():
    reader = Reader(columns(a="double"))
    for content in (b"", b"{", b"\xff", b'{"inputs": [NaN]}', b'{"inputs": [{"name": "a"}]}\x01'):
        assert "cannot be read as JSON" in reader.refusal(content, 400)
    for content in (b"[]", b"null", b"{}", b'{"inputs": 1}', b'{"inputs": [{"name": "a"}]}'):
        assert "no inference request" in reader.refusal(content)
    reader.refusal(b'{"inputs": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400)
    reader.refusal(b'{"inputs": 1e999}')
    reader.refusal(body(), 415, "text/csv")
    bad = b'{"inputs": [{"name": "a", "shape": [1], "datatype": "BYTES", "data": ["\xff"]}]}'
    reader.refusal(bad)


def test_content_type_may_be_missing():
    reader = Reader(columns(a="double"))
    for content_type in (None, "application/json; charset=utf-8"):
        request = reader.request(body(tensor("a", "FP64", [1])), content_type)
        assert reader.reader.read(request).table.rows == 1


def test_missing_optional_column_is_left_to_mlflow():
    reader = Reader([ColSpec("double", "a"), ColSpec("string", "b", required=False)])
    frame, _ = reader.alone(body(tensor("a", "FP64", [1, 2])))
    assert frame.to_dict("list") == {"a": [1.0, 2.0]}
    assert reader.call(body(tensor("a", "FP64", [1]), tensor("b", "BYTES", ["x"]))).table.rows == 1


def test_lists_and_objects():
    reader = Reader(
        [
            ColSpec(Array(DataType.double), "vector"),
            ColSpec(Object([Property("role", DataType.string)]), "message"),
        ]
    )
    frame, _ = reader.alone(
        body(
            tensor("vector", "FP64", [1, 2, 3, 4], [2, 2]),
            tensor("message", "BYTES", ['{"role": "a"}', '{"role": "b"}']),
        )
    )
    assert frame["vector"].tolist() == [[1, 2], [3, 4]]
    assert frame["message"].tolist() == [{"role": "a"}, {"role": "b"}]
    message = reader.refusal(
        body(tensor("vector", "FP64", [1], [1, 1]), tensor("message", "BYTES", ['{"no": 1}']))
    )
    assert message.startswith("Failed to enforce schema. Error: ")
    assert "not JSON" in reader.refusal(
        body(tensor("vector", "FP64", [1], [1, 1]), tensor("message", "BYTES", ["{"]))
    )


def test_columns_without_names_are_taken_in_order():
    reader = Reader([ColSpec("double"), ColSpec("string")])
    call = reader.call(body(tensor("x", "FP64", [1]), tensor("y", "BYTES", ["a"])))
    assert call.table.frame().to_dict("list") == {0: [1.0], 1: ["a"]}


def test_one_tensor_has_any_name():
    reader = Reader([TensorSpec(np.dtype("float32"), (-1, 2))])
    table = reader.call(body(tensor("x", "FP64", [1, 2], [1, 2]))).table
    assert (table.is_tensor, table.block.dtype, table.block.tolist()) == (True, "f4", [[1, 2]])
    assert "its shape is [2]" in reader.refusal(body(tensor("x", "FP64", [1, 2])))
    assert "holds not all" in reader.refusal(body(tensor("x", "FP64", [1, 1e39], [1, 2])))
    assert "one input, not 2" in reader.refusal(body(*(tensor(n, "FP64", [1]) for n in "ab")))


def test_named_tensors():
    reader = Reader(
        [
            TensorSpec(np.dtype("int64"), (-1,), "ids"),
            TensorSpec(np.dtype("str"), (-1, 1), "words"),
            TensorSpec(np.dtype("float64"), (-1, -1, 2), "grid"),
        ]
    )
    table = reader.call(
        body(
            tensor("words", "BYTES", ["a"], [1, 1]),
            tensor("grid", "FP64", [1, 2, 3, 4], [1, 2, 2]),
            tensor("ids", "INT32", [5]),
        )
    ).table
    arrays = {name: array.tolist() for name, array in table.frame().items()}
    assert arrays == {"ids": [5], "words": [["a"]], "grid": [[[1, 2], [3, 4]]]}
    assert "Inputs are missing: words, grid." in reader.refusal(body(tensor("ids", "INT8", [5])))


def test_tensor_without_rows_is_not_merged():
    reader = Reader([TensorSpec(np.dtype("float64"), (2, 2))])
    data, _ = reader.alone(body(tensor("x", "FP64", [1, 2, 3, 4], [2, 2])))
    assert data.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("datatype", ["FP64", "INT8"])
def test_one_block_without_rows_is_the_models_to_judge(datatype):
    reader = Reader([ColSpec("double", "a"), ColSpec("double", "b")])
    data, _ = reader.alone(body(tensor("x", datatype, [], [0, 2])))
    assert list(data) == ["a", "b"]
    assert len(data) == 0


def test_without_a_signature():
    reader = Reader()
    data, _ = reader.alone(body(tensor("x", "INT8", [1, 2], [1, 2])))
    assert isinstance(data, np.ndarray)
    assert (data.dtype, data.tolist()) == ("i1", [[1, 2]])
    data, _ = reader.alone(body(tensor("x", "INT8", [1]), tensor("y", "BYTES", ["a"], [1, 1])))
    assert data.to_dict("list") == {"x": [1], "y": ["a"]}
    data, _ = reader.alone(body(tensor("x", "INT8", [1]), parameters={"content_type": "pd"}))
    assert isinstance(data, pd.DataFrame)
    data, _ = reader.alone(body(tensor("x", "BYTES", ["a", "b"], content_type="str")))
    assert data == ["a", "b"]
    data, _ = reader.alone(body(tensor("x", "BYTES", ["a", "b"], content_type=["str"])))
    assert isinstance(data, np.ndarray)
    two = body(tensor("x", "INT8", [1]), tensor("y", "INT8", [1, 2]))
    assert "differ in their first dimension" in reader.refusal(two)


def test_params_by_the_signature():
    reader = Reader(
        columns(a="double"),
        params=[
            ParamSpec("temperature", "double", 0.5),
            ParamSpec("stop", "string", ["x"], shape=(-1,)),
            ParamSpec("since", "datetime", datetime.datetime(2026, 1, 1)),
        ],
    )
    a = tensor("a", "FP64", [1])
    call = reader.call(body(a, parameters={"temperature": 1, "stop": ["y"], "other": 1}))
    since = datetime.datetime(2026, 1, 1)
    assert call.params == {"temperature": 1.0, "stop": ["y"], "since": since}
    plain = reader.call(body(a))
    assert plain.params == {"temperature": 0.5, "stop": ["x"], "since": since}
    assert plain.group != call.group
    assert "Invalid parameters" in reader.refusal(body(a, parameters={"temperature": "x"}))


def test_answer_of_a_prediction():
    reader = Reader(columns(a="double"))
    call = reader.call(body(tensor("a", "FP64", [1, 2]), id="42"))
    assert json.loads(call.write(np.array([0, 1]))) == {
        "model_name": "echo",
        "model_version": "3",
        "id": "42",
        "outputs": [{"name": "predict", "shape": [2], "datatype": "INT64", "data": [0, 1]}],
    }
    text = call.write(np.array([[math.nan, math.inf]])).decode()
    json.loads(text, parse_constant=pytest.fail)
    assert '"shape":[1,2],"datatype":"FP64","data":[null,"Infinity"]' in text


def test_requested_outputs():
    reader = Reader(columns(a="double"))
    wanted = [{"name": "y", "parameters": {"binary_data": True}}, {"name": "x"}]
    call = reader.call(body(tensor("a", "FP64", [1]), outputs=wanted))
    answer = json.loads(call.write(pd.DataFrame({"x": [1], "y": ["b"], "z": [1.5]})))
    assert [output["name"] for output in answer["outputs"]] == ["y", "x"]
    with pytest.raises(RefusedError, match="no output 'y'; it has predict") as caught:
        call.write(np.zeros(1))
    assert caught.value.status == 422


def test_outputs_by_the_names_of_the_signature():
    reader = Reader(columns(a="double"), outputs=columns(price="double"))
    answer = json.loads(reader.call(body(tensor("a", "FP64", [1]))).write(np.zeros(1)))
    assert answer["outputs"][0]["name"] == "price"


def test_model_that_raises():
    reader = Reader(returns=ValueError("its own words"))
    assert "its own words" in reader.refusal(body(tensor("x", "INT8", [1])), 400)


def test_anything_goes_without_type():
    frame, _ = Reader([ColSpec(AnyType(), "x")]).alone(
        body(tensor("x", "BYTES", ['{"a": 1}', "2"], content_type="json"))
    )
    assert frame["x"].tolist() == [{"a": 1}, 2]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)
hostile_tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "x"]),
        "shape": st.lists(st.sampled_from([0, 1, 2, -1, 2**40]) | st.integers(), max_size=3),
        "datatype": st.sampled_from(["FP64", "BYTES", "INT8", "BOOL", "FP128"]),
        "data": json_values | st.lists(st.floats(), max_size=4) | st.lists(st.text(), max_size=4),
    },
    optional={
        "parameters": st.none()
        | st.fixed_dictionaries({"content_type": json_values | st.sampled_from(["json", "str"])})
    },
)
hostile_bodies = st.fixed_dictionaries(
    {"inputs": st.lists(hostile_tensors, max_size=3) | json_values},
    optional={
        "id": json_values,
        "parameters": json_values,
        "outputs": json_values | st.just([{"name": "predict"}]),
    },
)
READERS = {
    "columns": lambda: Reader(columns(a="double", b="string")),
    "optional": lambda: Reader([ColSpec("double", "a"), ColSpec("long", "b", required=False)]),
    "any": lambda: Reader([ColSpec(AnyType(), "a"), ColSpec(Array(DataType.double), "b")]),
    "tensor": lambda: Reader([TensorSpec(np.dtype("float64"), (-1, 2))]),
    "tensors": lambda: Reader([TensorSpec(np.dtype("O"), (-1,), name) for name in "ab"]),
    "none": Reader,
}


@pytest.mark.parametrize("kind", READERS)
def test_whatever_comes_is_answered_or_refused(kind):
    reader = READERS[kind]()

    @settings(max_examples=300)
    @given(hostile_bodies)
    def try_one(content):
        request = reader.request(content)
        try:
            reader.reader.read(request) or reader.reader.answer_alone(request)
        except RefusedError as refused:
            if refused.status not in (400, 422):
                raise

    try_one()
