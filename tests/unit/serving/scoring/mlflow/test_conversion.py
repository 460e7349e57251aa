"""What the compiled decoders take is what MLflow's own parser and schema enforcement would give
the model, to the bit; the rest they decline."""

import json
import os
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from model_server.processes.wire import Request
from model_server.scoring.mlflow.reader import MlflowReader
from tests.unit.serving.scoring.models import recorded

EXAMPLES = 10_000 if os.environ.get("FULL") == "1" else 1_000
JSON = "application/json"


def by_mlflow(model: PyFuncModel, body: bytes, content_type: str = JSON) -> tuple | None:
    """Data and params as MLflow hands them to the model; None when it refuses the request."""
    model._model_impl.sent = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scoring_server.invocations(body, content_type, model, model.metadata.get_input_schema())
        except (MlflowException, ValueError, TypeError, RecursionError, IndexError, KeyError):
            return None
    return model._model_impl.sent


def by_us(model: PyFuncModel, body: bytes, content_type: str | None = JSON) -> tuple | None:
    call = MlflowReader(model).read(Request(1, "id", content_type, body, 0.0))
    return None if call is None else (call.table.frame(), call.params)


def assert_identical(ours: object, theirs: object) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for name in ours:
            assert_identical(ours[name], theirs[name])
    elif isinstance(ours, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True, check_column_type=True)
        for name in ours:
            if ours[name].dtype.kind == "f":
                assert_identical(ours[name].to_numpy(), theirs[name].to_numpy())
            else:
                assert set(map(type, ours[name])) == set(map(type, theirs[name]))
    else:
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
        if ours.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


def assert_same_or_declined(model: PyFuncModel, body: bytes, content_type: str = JSON) -> bool:
    """Whether the request was taken."""
    ours = by_us(model, body, content_type)
    if ours is None:
        return False
    theirs = by_mlflow(model, body, content_type)
    assert theirs is not None, "taken, but MLflow refuses it"
    assert_identical(ours[0], theirs[0])
    assert ours[1] == theirs[1]
    return True


# Requests as JSON text, so that every spelling of a number and every doubled key is tried.

NAMES = ["a", "b b", "c/é", "d.1", "0", "params", "columns"]
INTEGERS = st.one_of(
    st.integers(-5, 5),
    st.integers(-(2**31) - 2, 2**31 + 2),
    st.sampled_from([2**24 + 1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64, 10**30]),
)
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-100, 100),
    st.sampled_from([0.1, -0.0, 5e-324, 1e308, 1e-7, 3.4028236e38, 16777217.0, 2.0**53]),
)
DECIMALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
TEXTS = st.text(max_size=4) | st.sampled_from(
    ["", "a\0", "nan", "1", "None", "\ud800", "2020-01-01"]
)
STRINGS = st.builds(lambda text, plain: json.dumps(text, ensure_ascii=plain), TEXTS, st.booleans())
GOOD = {
    "double": FLOATS.map(repr) | INTEGERS.map(str) | DECIMALS,
    "float": st.floats(-1e4, 1e4).map(repr) | st.integers(-100, 100).map(str) | DECIMALS,
    "long": INTEGERS.map(str),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "boolean": st.sampled_from(["true", "false"]),
    "string": STRINGS,
    "datetime": st.just('"2020-01-01"'),
}
KINDS = [kind for kind in GOOD if kind != "datetime"] * 4 + ["datetime"]
# fmt: off
ODD_TOKENS = [
    "null", "true", "false", "1.0", "-0", "-0.0", "0", "1", "2", "1e2", "NaN", "Infinity",
    "-Infinity", "1e999", "01", "1.", ".5", "+1", "[]", "{}", "[1]", '"x"', '"1"', '""',
    '{"a":1}', "9223372036854775808", "-9223372036854775809", "1E400", "1e-400",
]
# fmt: on
ODD = st.one_of(st.sampled_from(ODD_TOKENS), GOOD["double"], STRINGS)


def written(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in pairs) + "}"


def listed(values: list[str]) -> str:
    return "[" + ",".join(values) + "]"


@st.composite
def cells(draw, kind: str, oddness: int) -> str:
    """`oddness` of 100 cells are not what the type says."""
    if oddness and draw(st.integers(0, 99)) < oddness:
        return draw(ODD)
    return draw(GOOD[kind])


@st.composite
def shuffled_names(draw, names: list[str]) -> list[str]:
    """Names in order, mostly; else in another, with one missing, more, or twice."""
    way = draw(st.sampled_from(["same"] * 10 + ["permuted"] * 6 + ["missing", "more", "twice"]))
    if way == "same":
        return names
    names = list(draw(st.permutations(names)))
    if way == "missing":
        return names[1:]
    if way == "more":
        return [*names, "more"]
    return [*names, names[0]] if way == "twice" else names


@st.composite
def column_requests(draw) -> tuple[Schema, bytes]:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    if draw(st.booleans()):
        kinds = kinds[:1] * len(kinds)
    names = draw(st.permutations(NAMES))[: len(kinds)]
    required = draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds)))
    specs = [ColSpec(*spec) for spec in zip(kinds, names, required, strict=True)]
    by_name = dict(zip(names, kinds, strict=True))
    oddness = draw(st.sampled_from([0, 0, 5, 40]))
    given_names = draw(shuffled_names(list(names)))
    count = draw(st.sampled_from([1, 1, 2, 3, 0]))
    rows = [
        [draw(cells(by_name.get(name, "double"), oddness)) for name in given_names]
        for _ in range(count)
    ]
    if rows and given_names and draw(st.integers(0, 30)) == 0:
        rows[-1] = rows[-1][1:]
    return Schema(specs), draw(bodies(given_names, rows))


@st.composite
def bodies(draw, names: list[str], rows: list[list[str]]) -> bytes:
    records = listed([written(list(zip(names, row, strict=False))) for row in rows])
    columns = [listed([row[at] for row in rows if at < len(row)]) for at in range(len(names))]
    by_column = written(list(zip(names, columns, strict=True)))
    split = [("columns", json.dumps(names)), ("data", listed([listed(row) for row in rows]))]
    if draw(st.integers(0, 3)) == 0:
        right = json.dumps(list(range(len(rows))))
        odd = st.sampled_from([right, right, "null", "[0.0]", "[1]", '["0"]', "[]", "[true]", "7"])
        split.append(("index", draw(odd)))
    if draw(st.integers(0, 40)) == 0:
        split.append(draw(st.sampled_from([("more", "1"), split[0], split[1]])))
    data = listed([listed(row) for row in rows])
    way, content = draw(
        st.sampled_from(
            [("dataframe_split", written(split))] * 3
            + [("dataframe_records", records)] * 3
            + [("inputs", by_column), ("instances", by_column)]
            + [("inputs", records), ("instances", records)]
            + [("inputs", data), ("instances", data)]
            + [("inputs", columns[0] if columns else "[]")]
            + [("instances", columns[0] if columns else "[]")]
            + [("dataframe_split", records), ("dataframe_records", by_column), ("inputs", "1")]
        )
    )
    pairs = [(way, content)]
    more = draw(st.integers(0, 60))
    if more < 4:
        other = ("params", "{}"), ("more", "1"), (way, content), ("instances", "[1]")
        pairs.insert(draw(st.integers(0, 1)), other[more])
    return written(pairs).encode("utf-8", "surrogatepass")


THOROUGH = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@THOROUGH
@given(column_requests())
def test_columns_are_mlflows_or_declined(request):
    schema, body = request
    assert_same_or_declined(recorded(schema), body)


DTYPES = {
    "float64": GOOD["double"],
    "float32": GOOD["float"],
    "float16": st.floats(-100, 100).map(repr),
    "int64": st.integers(-(2**63), 2**63 - 1).map(str),
    "int32": GOOD["integer"],
    "uint8": st.integers(0, 256).map(str),
    "bool": GOOD["boolean"],
    "str": STRINGS,
}


@st.composite
def tensor_texts(draw, dtype: str, shape: list[int], oddness: int) -> str:
    if not shape:
        odd = oddness and draw(st.integers(0, 99)) < oddness
        return draw(ODD if odd else DTYPES[dtype])
    length = shape[0] + (oddness and draw(st.integers(0, 30)) == 0)
    return listed([draw(tensor_texts(dtype, shape[1:], oddness)) for _ in range(length)])


@st.composite
def tensor_requests(draw) -> tuple[Schema, bytes]:
    is_named = draw(st.booleans())
    names = draw(st.permutations(NAMES))[: draw(st.integers(1, 3))] if is_named else [None]
    oddness = draw(st.sampled_from([0, 0, 0, 10]))
    count = draw(st.sampled_from([1, 2, 3]))
    specs, texts = [], []
    for name in names:
        dtype = draw(st.sampled_from(sorted(DTYPES)))
        shape = draw(st.lists(st.sampled_from([1, 2, 3, -1]), max_size=2))
        first = draw(st.sampled_from([-1, -1, -1, -1, count]))
        specs.append(TensorSpec(np.dtype(dtype), (first, *shape), name))
        lengths = [draw(st.integers(1, 3)) if length == -1 else length for length in shape]
        rows = count + (oddness and draw(st.integers(0, 10)) == 0)
        texts.append([draw(tensor_texts(dtype, lengths, oddness)) for _ in range(rows)])
    ways = ["inputs", "instances"]
    if is_named:
        by_name = written([(name, listed(rows)) for name, rows in zip(names, texts, strict=True)])
        rows = [list(zip(names, row, strict=True)) for row in zip(*texts, strict=False)]
        content = draw(st.sampled_from([by_name, by_name, listed([written(row) for row in rows])]))
    else:
        content = listed(texts[0])
        ways.append("dataframe_split")
    return Schema(specs), written([(draw(st.sampled_from(ways)), content)]).encode(
        "utf-8", "surrogatepass"
    )


@THOROUGH
@given(tensor_requests())
def test_tensors_are_mlflows_or_declined(request):
    schema, body = request
    assert_same_or_declined(recorded(schema), body)


@THOROUGH
@given(column_requests() | tensor_requests())
def test_rows_without_a_signature_are_mlflows_or_declined(request):
    assert_same_or_declined(recorded(None), request[1])


@pytest.mark.parametrize(
    ("body", "like", "unlike"),
    [
        ({"dataframe_records": [{"a": 1, "b": 2.5}]}, [{"a": 3, "b": 0.5}], [{"a": 3.5, "b": 0.5}]),
        ({"dataframe_records": [{"a": 1, "b": 2}]}, [{"a": 3, "b": 0}] * 2, [{"b": 3, "a": 0}]),
        ({"inputs": [[1.5, 2]]}, [[0.5, 1], [1, 1]], [[1, 2]]),
        ({"inputs": [[1.5, 2]]}, [[0.5, 1]], [[0.5, 1, 3]]),
    ],
)
def test_rows_without_a_signature_are_grouped_by_columns_and_types(body, like, unlike):
    reader = MlflowReader(recorded(None))
    (way,) = body

    def group(content: object) -> object:
        return reader.read(Request(1, "id", JSON, json.dumps({way: content}).encode(), 0.0)).group

    assert group(body[way]) == group(like) != group(unlike)


FRAME = pd.DataFrame(
    {
        "double": [0.1, 2.0],
        "float": np.array([0.5, 2], dtype=np.float32),
        "long": [2**60, -1],
        "integer": np.array([1, 2], dtype=np.int32),
        "boolean": [True, False],
        "string": ["x", "é☃"],
    }
)
MIXED = Schema([ColSpec(name, name, required=name != "string") for name in FRAME])
SPLIT = json.loads(FRAME.to_json(orient="split", double_precision=15))
RECORDS = [dict(zip(SPLIT["columns"], row, strict=True)) for row in SPLIT["data"]]
BY_COLUMN = {name: [record[name] for record in RECORDS] for name in FRAME}
DOUBLES = Schema([ColSpec("double", name) for name in "ab"])
LONGS = Schema([ColSpec("long", "a")])
TEXT = Schema([ColSpec("string", "text")])


def tensor(dtype: str, *shape: int, name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(dtype), shape, name)


TAKEN = {
    "split": (MIXED, {"dataframe_split": SPLIT}),
    "split in another order": (
        MIXED,
        {
            "dataframe_split": {
                "columns": SPLIT["columns"][::-1],
                "data": [row[::-1] for row in SPLIT["data"]],
            }
        },
    ),
    "split of one type in another order": (
        DOUBLES,
        {"dataframe_split": {"columns": ["b", "a"], "data": [[1, 2.5], [3, 4]]}},
    ),
    "split without index": (
        DOUBLES,
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}},
    ),
    "records": (MIXED, {"dataframe_records": RECORDS}),
    "inputs by column": (MIXED, {"inputs": BY_COLUMN}),
    "instances by column": (MIXED, {"instances": BY_COLUMN}),
    "instances": (MIXED, {"instances": RECORDS}),
    "inputs as records": (DOUBLES, {"inputs": [{"a": 1, "b": 2.5}, {"b": 0.5, "a": 3}]}),
    "only column as a list": (TEXT, {"inputs": ["one", "two"]}),
    "only column as instances": (LONGS, {"instances": [1, 2]}),
    "missing numbers": (DOUBLES, {"dataframe_records": [{"a": None, "b": 1}]}),
    "missing strings": (
        MIXED,
        {"dataframe_records": [RECORDS[0], {**RECORDS[1], "string": None}]},
    ),
    "large integers": (LONGS, {"dataframe_records": [{"a": 2**63 - 1}]}),
    "tensor": (Schema([tensor("float32", -1, 2, 2)]), {"inputs": [[[1, 2], [3.5, None]]]}),
    "tensor of text": (Schema([tensor("str", -1)]), {"instances": ["one", "two"]}),
    "named tensors": (
        Schema([tensor("int64", -1, -1, name="ids"), tensor("float64", -1, name="x")]),
        {"inputs": {"x": [1.5], "ids": [[1, 2, 3]]}},
    ),
    "instances of named tensors": (
        Schema([tensor("int64", -1, -1, name="ids"), tensor("float64", -1, name="x")]),
        {"instances": [{"ids": [1, 2], "x": 1}, {"ids": [3, 4], "x": 2}]},
    ),
}


@pytest.mark.parametrize("case", TAKEN)
@pytest.mark.parametrize("indent", [None, 2])
def test_usual_requests_are_taken(case, indent):
    schema, body = TAKEN[case]
    assert assert_same_or_declined(recorded(schema), json.dumps(body, indent=indent).encode())


DECLINED = {
    "no rows": (DOUBLES, {"dataframe_split": {"columns": ["a", "b"], "data": []}}),
    "index that is not trivial": (
        DOUBLES,
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "index": [7]}},
    ),
    "another key": (DOUBLES, {"dataframe_records": [{"a": 1, "b": 2}], "messages": []}),
    "ignored params": (DOUBLES, {"dataframe_records": [{"a": 1, "b": 2}], "params": {}}),
    "infinity": (DOUBLES, {"dataframe_records": [{"a": float("inf"), "b": 2}]}),
    "double in a long column": (LONGS, {"dataframe_records": [{"a": 1.0}]}),
    "boolean in a double column": (DOUBLES, {"dataframe_records": [{"a": True, "b": 2}]}),
    "only missing strings": (
        Schema([ColSpec("string", "text", required=False)]),
        {"dataframe_records": [{"text": None}]},
    ),
    "missing string in inputs": (TEXT, {"inputs": {"text": ["a", None]}}),
    "zero at a string's end": (TEXT, {"inputs": ["a\0"]}),
    "frame for a tensor": (
        Schema([tensor("float64", -1, 2)]),
        {"dataframe_split": {"data": [[1, 2]]}},
    ),
    "fixed number of rows": (Schema([tensor("float64", 1, 2)]), {"inputs": [[1, 2]]}),
    "columns without names": (Schema([ColSpec("double")]), {"inputs": [1]}),
    "names that msgspec cannot take": (
        Schema([ColSpec("double", 'a"b')]),
        {"inputs": {'a"b': [1]}},
    ),
    "columns of arrays": (Schema([ColSpec(Array(DataType.double), "a")]), {"inputs": {"a": [[1]]}}),
}


@pytest.mark.parametrize("case", DECLINED)
def test_unusual_requests_are_left_to_mlflow(case):
    schema, body = DECLINED[case]
    assert by_us(recorded(schema), json.dumps(body).encode()) is None


def test_body_with_a_byte_order_mark_is_left_to_mlflow():
    body = json.dumps({"inputs": ["x"]}).encode("utf-8-sig")
    assert by_us(recorded(TEXT), body) is None
    assert by_mlflow(recorded(TEXT), body) is not None


CONTENT_TYPES = {
    "application/json": True,
    "application/json; charset=utf-8": True,
    "application/json;charset=UTF-8": True,
    " application/json ;  charset=utf-8": True,
    "application/json; charset=latin-1": False,
    "application/json; charset=utf-8; format=split": False,
    "application/json;": False,
    "Application/JSON": False,
    "text/csv": False,
    "": False,
    None: False,
}


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_types(content_type):
    body = json.dumps({"inputs": {"text": ["x"]}}).encode()
    ours = by_us(recorded(TEXT), body, content_type)
    assert (ours is not None) == CONTENT_TYPES[content_type]
    if ours is not None:
        assert by_mlflow(recorded(TEXT), body, content_type) is not None


PARAMS = ParamSchema(
    [
        ParamSpec("k", "long", 3),
        ParamSpec("scale", "double", 0.5),
        ParamSpec("names", "string", ["a"], (-1,)),
    ]
)


@pytest.mark.parametrize(
    "params",
    [
        None,
        "{}",
        '{"k": 7}',
        '{"k": 7, "k": 8}',
        '{"scale": 1}',
        '{"names": ["x", "y"], "more": 1}',
        '{"scale": NaN}',
        '{"k": 1.5}',
        '{"k": "x"}',
        "null",
        "[1]",
        '{"names": "x"}',
    ],
)
def test_params_are_mlflows_or_declined(params):
    pairs = [("inputs", '{"text": ["x"]}')] + ([("params", params)] if params else [])
    assert_same_or_declined(recorded(TEXT, PARAMS), written(pairs).encode())


def test_params_are_equal_in_a_group():
    reader = MlflowReader(recorded(TEXT, PARAMS))

    def call(**more: object):
        body = json.dumps({"inputs": ["x"], **more}).encode()
        return reader.read(Request(1, "id", JSON, body, 0.0))

    assert call().group == call().group
    assert call(params={"k": 1}).group == call(params={"k": 1}).group
    assert call(params={"k": 1}).group not in (call().group, call(params={"k": 2}).group)
