"""Tensors from and to JSON: what any numpy array, and any hostile request, comes to."""

import contextlib
import json
import math

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from model_server.errors import RefusedError
from model_server.scoring.v2 import outputs, tensors

NUMERIC = [dtype for dtype in tensors.DATATYPES.values() if dtype.kind != "O"]
shapes = st_numpy.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
arrays = st.sampled_from(NUMERIC).flatmap(lambda dtype: st_numpy.arrays(dtype, shapes))


def read(shape, datatype, data) -> np.ndarray:
    raw = msgspec.Raw(data if isinstance(data, bytes) else json.dumps(data).encode())
    return tensors.read(tensors.Tensor("x", shape, datatype, raw))


def refusal(shape, datatype, data) -> str:
    with pytest.raises(RefusedError) as caught:
        read(shape, datatype, data)
    assert caught.value.status == 422
    return str(caught.value)


def there_and_back(array) -> np.ndarray:
    written = msgspec.json.encode(outputs.output("x", array))
    json.loads(written, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    return tensors.read(msgspec.json.decode(written, type=tensors.Tensor))


@given(arrays)
def test_numbers_survive(array):
    back = there_and_back(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)
    assert (np.signbit(back) == np.signbit(array))[~np.isnan(array)].all()


@given(st_numpy.arrays(object, shapes, elements=st.text(st.characters(exclude_categories=["Cs"]))))
def test_strings_survive(array):
    back = there_and_back(array)
    assert back.shape == array.shape
    assert back.tolist() == array.tolist() or array.size == 0


@given(arrays)
def test_nested_and_flat_data_are_the_same(array):
    array = np.nan_to_num(array) if array.dtype.kind == "f" else array
    name = next(name for name, dtype in tensors.DATATYPES.items() if dtype == array.dtype)
    np.testing.assert_array_equal(
        read(array.shape, name, array.tolist()), read(array.shape, name, array.ravel().tolist())
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=300)
@given(
    st.lists(st.integers(-3, 10**20) | st.integers(0, 3), max_size=4),
    st.sampled_from([*tensors.DATATYPES, "fp32", "", "STRING"]),
    json_values,
)
def test_any_data_is_read_or_refused(shape, datatype, data):
    text = json.dumps(data, allow_nan=True).encode()
    with contextlib.suppress(RefusedError):
        array = read(shape, datatype, text)
        assert array.shape == tuple(shape)
        assert array.dtype == tensors.DATATYPES[datatype]


@pytest.mark.parametrize(
    ("shape", "datatype", "data", "why"),
    [
        ([2], "FP64", [1], "needs 2 elements, its data has 1"),
        ([-1], "FP64", [1], "its shape is not"),
        ([], "FP64", [1], "its shape is not"),
        ([1] * 33, "FP64", [1], "its shape is not"),
        ([2**31, 2**31], "FP64", [1], "too large"),
        ([0, 2**40], "FP64", [], "too large"),
        ([1], "FP64", "x", "not a list"),
        ([1], "FP64", ["x"], "not FP64"),
        ([1], "FP64", [True], "not FP64"),
        ([1], "FP64", b"[1e999]", "cannot be read"),
        ([1], "FP32", [1e39], "does not fit into FP32"),
        ([1], "FP16", [65536], "does not fit into FP16"),
        ([1], "UINT8", [256], "does not fit into UINT8"),
        ([1], "UINT64", [-1], "does not fit into UINT64"),
        ([1], "INT64", [1.5], "not INT64"),
        ([1], "INT64", [None], "not INT64"),
        ([1], "INT64", ["Infinity"], "not INT64"),
        ([1], "BOOL", [2], "not BOOL"),
        ([1], "BYTES", [1], "not BYTES"),
        ([2, 2], "INT8", [[1, 2], [3]], "nested data does not have its shape"),
        ([2, 2], "INT8", [[1, 2], 3, 4], "nested data does not have its shape"),
        ([4], "INT8", [[1, 2], [3, 4]], "nested data does not have its shape"),
        ([1], "INT8", b"[" * 50_000 + b"]" * 50_000, "cannot be read"),
        ([1], "COMPLEX", [1], "its datatype is none of BOOL"),
    ],
)
def test_refused(shape, datatype, data, why):
    assert why in refusal(shape, datatype, data)


def test_what_clients_of_other_servers_send_is_read():
    assert read([3], "FP32", [1, None, "-Infinity"]).tolist()[::2] == [1, -math.inf]
    assert read([2], "INT64", [2.0, 3]).tolist() == [2, 3]
    assert read([2], "BOOL", [0, True]).tolist() == [False, True]
    assert read([2], "BYTES", ["a", None]).tolist() == ["a", None]


@pytest.mark.parametrize(
    ("values", "datatype", "data", "content_type"),
    [
        (np.array([1.5, np.inf, np.nan]), "FP64", [1.5, "Infinity", math.nan], None),
        (np.array(["a", "b"]), "BYTES", ["a", "b"], None),
        (np.array([b"\xff"]), "BYTES", ["/w=="], "base64"),
        (np.array([1, 2], dtype=">i4"), "INT32", [1, 2], None),
        (np.array([1, 2], dtype=np.longdouble), "FP64", [1.0, 2.0], None),
        (np.array(["2026-01-02", "NaT"], "M8[D]"), "BYTES", ["2026-01-02", None], "datetime"),
        (pd.Series(["a", None]), "BYTES", ["a", None], None),
        (pd.Series([1, None], dtype="Int64"), "FP64", [1.0, math.nan], None),
        (pd.Series([1, 2], dtype="Int32"), "INT32", [1, 2], None),
        (pd.Series([True, False], dtype="boolean"), "BOOL", [True, False], None),
        (pd.Series(["x", "y"], dtype="category"), "BYTES", ["x", "y"], None),
        (pd.Series([1, None], dtype=object), "FP64", [1.0, math.nan], None),
        (["a", "b"], "BYTES", ["a", "b"], None),
        ([1, 2], "INT64", [1, 2], None),
        ([[1], [2, 3]], "BYTES", ["[1]", "[2,3]"], "json"),
        ([{"a": np.float32(1)}], "BYTES", ['{"a":1.0}'], "json"),
        ({"a": [1, None]}, "BYTES", ['{"a":[1,null]}'], "json"),
        ("text", "BYTES", ["text"], None),
        (7, "INT64", [7], None),
        (None, "BYTES", [None], None),
        ([], "FP64", [], None),
    ],
)
def test_what_models_return(values, datatype, data, content_type):
    tensor = outputs.output("y", values)
    assert (tensor["name"], tensor["datatype"]) == ("y", datatype)
    assert repr(tensor["data"]) == repr(data)
    assert tensor.get("parameters", {}).get("content_type") == content_type
    assert tensor["shape"] == [len(data)]


def test_what_has_no_json_form_is_a_type_error():
    with pytest.raises(TypeError):
        outputs.output("y", [object()])


@pytest.mark.parametrize(
    ("prediction", "names", "expected"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", 0]), [], ["a", "0"]),
        ({"k": 1}, [], ["k"]),
        (pd.Series([1], name="s"), [], ["s"]),
        (pd.Series([1], name="s"), ["target"], ["target"]),
        (np.zeros(1), [], ["predict"]),
        (np.zeros(1), ["target"], ["target"]),
        (np.zeros((1, 2)), ["a", "b"], ["a", "b"]),
        (np.zeros((1, 3)), ["a", "b"], ["predict"]),
        (np.zeros((1, 0)), [], ["predict"]),
    ],
)
def test_names_of_outputs(prediction, names, expected):
    assert [name for name, _ in outputs.named(prediction, names, "predict")] == expected
