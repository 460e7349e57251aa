"""`serving.strict` refuses what MLflow would silently change, and changes no other answer."""

import io
import json

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.pyfunc import PythonModel, load_model, save_model, scoring_server
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property
from pandas._libs.parsers import STR_NA_VALUES

from model_server.options import Options, options
from model_server.processes.wire import MLFLOW, V2, Request
from model_server.scoring.changes import MISSING_IN_CSV
from model_server.scoring.scorer import Scorer
from model_server.settings import Settings
from tests.unit.serving.scoring.models import Recorder, signed

CSV, JSON, PARQUET = scoring_server.CONTENT_TYPES
FORMATS = ("dataframe_split", "dataframe_records", "inputs", "columns", "instances")


class Server:
    """A model of this signature, asked as a worker asks it."""

    def __init__(self, folder, inputs, params=None, strict=True):
        self.model = Recorder()
        model = signed(self.model, inputs, params=params)
        self._scorer = Scorer(model, folder, Options(strict=strict, batch=False))

    def ask(self, body, kind=JSON, protocol=MLFLOW) -> tuple[int, str]:
        self.model.sent = None
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(1, "id", kind, body, 1e18, protocol)
        (answer,) = [one for reply in self._scorer.replies([request]) for one in reply.answers]
        return answer.status, json.loads(answer.body).get("message", "")


@pytest.fixture
def serve(tmp_path):
    return lambda *arguments, **options: Server(tmp_path, *arguments, **options)


def column(kind, **options) -> Schema:
    return Schema([ColSpec(kind, "x", **options), ColSpec("double", "other")])


def body_of(form: str, value: object) -> dict:
    row = {"x": value, "other": 1.5}
    if form == "dataframe_split":
        return {form: {"columns": list(row), "data": [list(row.values())]}}
    if form == "columns":
        return {"inputs": {name: [one] for name, one in row.items()}}
    return {form: [row]}


CHANGED = [
    ("boolean", "false", "neither true nor false"),
    ("boolean", 2, "neither true nor false"),
    ("boolean", None, "neither true nor false"),
    ("long", 1.7, "no integer"),
    ("long", "1", "text where a number belongs"),
    ("long", 2**63, "beyond what int64 holds"),
    ("long", 1e300, "beyond what int64 holds"),
    ("long", True, "true or false where a number belongs"),
    ("integer", 2**31, "beyond what int32 holds"),
    ("float", 1e300, "beyond what float32 holds"),
    ("float", 2**24 + 1, "an integer that float32 does not hold exactly"),
    ("double", 2**53 + 1, "an integer that float64 does not hold exactly"),
    ("double", "1.5", "text where a number belongs"),
    ("double", False, "true or false where a number belongs"),
    ("string", 7, "not text"),
    ("datetime", "2024-01-01T00:00:00+02:00", "no time in ISO 8601 without a zone"),
    ("datetime", "2024-01-01T00:00:00Z", "no time in ISO 8601 without a zone"),
    ("datetime", "01/02/2024", "no time in ISO 8601 without a zone"),
    ("datetime", "now", "no time in ISO 8601 without a zone"),
    ("datetime", 1700000000, "no time in ISO 8601 without a zone"),
    ("datetime", "9999-12-31", "beyond the years 1678 to 2261"),
    ("binary", "!YWJj", "not base64"),
]


@pytest.mark.parametrize(("kind", "value", "reason"), CHANGED)
def test_a_value_that_mlflow_would_change_is_refused_with_its_column_and_row(
    serve, kind, value, reason
):
    server = serve(column(kind))
    for form in FORMATS:
        status, message = server.ask(body_of(form, value))
        if kind == "binary" and not form.startswith("dataframe"):
            reason = (
                "binary, which is read from base64 only in dataframe_split and dataframe_records"
            )
        assert status == 400
        assert message == f"Refused by serving.strict. Column 'x', row 0: {reason}."
        assert server.model.sent is None


TAKEN = [
    ("boolean", True),
    ("long", 2**63 - 1),
    ("long", 3.0),
    ("integer", -(2**31)),
    ("float", 0.1),
    ("float", None),
    ("float", 2**24 + 2),
    ("double", 1e300),
    ("double", None),
    ("double", float("inf")),
    ("double", 2**53 + 2),
    ("string", "None"),
    ("datetime", "2024-01-01"),
    ("datetime", "2024-01-01T10:20:30.123456789"),
    ("datetime", None),
]


@pytest.mark.parametrize(("kind", "value"), TAKEN)
def test_a_value_that_stays_what_it_is_is_answered(serve, kind, value):
    strict, usual = serve(column(kind)), serve(column(kind), strict=False)
    for form in FORMATS:
        usual_status, _ = usual.ask(body_of(form, value))
        assert strict.ask(body_of(form, value))[0] == usual_status
        if usual_status == 200:
            pd.testing.assert_frame_equal(strict.model.sent[0], usual.model.sent[0])


def test_a_null_text_is_taken_where_it_is_missing_and_refused_where_it_would_be_a_text(serve):
    server = serve(column("string"))
    statuses = {form: server.ask(body_of(form, None))[0] for form in FORMATS}
    assert statuses == {
        "dataframe_split": 200,
        "dataframe_records": 200,
        "inputs": 400,
        "columns": 400,
        "instances": 400,
    }


def test_bytes_are_taken_as_base64_in_frames_alone(serve):
    server = serve(column("binary"))
    assert server.ask(body_of("dataframe_split", "YWJj"))[0] == 200
    assert server.model.sent[0]["x"][0] == b"abc"
    assert server.ask(body_of("inputs", "YWJj"))[0] == 400


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Array("string"), ["abc", None]),
        (Array("boolean"), [True, None]),
        (Array(Array("string")), [["abc"], ["abc", None]]),
        (Object([Property("p", Array("string"))]), {"p": ["abc", None]}),
        (Map(Array("string")), {"k": ["abc", None]}),
    ],
)
def test_a_null_in_a_list_is_refused_where_it_would_change_the_values_beside_it(serve, kind, value):
    usual = serve(Schema([ColSpec(kind, "x")]), strict=False)
    body = {"dataframe_records": [{"x": value}]}
    assert usual.ask(body)[0] == 200
    assert usual.model.sent[0]["x"][0] != value
    assert serve(Schema([ColSpec(kind, "x")])).ask(body)[0] == 400


def test_a_list_alone_is_one_row_of_a_column_of_lists(serve):
    schema = Schema([ColSpec(Array("string"), "x")])
    assert serve(schema).ask({"inputs": {"x": ["abc", None]}})[0] == 400
    assert serve(schema).ask({"inputs": {"x": ["abc", "d"]}})[0] == 200


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


def test_models_from_type_hints_are_held_to_them(tmp_path):
    class Greeter(PythonModel):
        def predict(self, model_input: list[Person]) -> list[str]:
            return [f"{one.name} {one.age}" for one in model_input]

    save_model(tmp_path / "model", python_model=Greeter(), pip_requirements=["mlflow"])
    scorer = Scorer(load_model(str(tmp_path / "model")), tmp_path, Options(strict=True))

    def ask(*people):
        body = json.dumps({"inputs": people}).encode()
        ((reply,), *_) = (one.answers for one in scorer.replies([Request(1, "", JSON, body, 1e18)]))
        return reply.status

    assert ask({"name": "Ada"}, {"name": "Bo", "age": 7}, {"name": "Cy", "age": None}) == 200
    assert ask({"name": "Ada"}, {"name": "Bo", "age": "7"}) == 400


def test_columns_params_and_parts_that_would_be_ignored_are_refused(serve):
    params = ParamSchema([ParamSpec("k", "long", 5), ParamSpec("s", "string", "")])
    server = serve(column("double"), params)
    good = body_of("dataframe_split", 1.5)
    assert server.ask({**good, "params": {"s": "a\0"}}) == (200, "")
    assert server.model.sent[1] == {"k": 5, "s": "a\0"}
    assert server.ask({**good, "params": {"k": 7}}) == (200, "")
    assert server.model.sent[1] == {"k": 7, "s": ""}
    for more, named in (
        ({"parms": {"k": 7}}, "'parms'"),
        ({"params": {"j": 7}}, "'j'"),
        ({"params": {"k": None}}, "'k' is null"),
        ({"params": {"k": 2**63}}, "'k' is beyond"),
    ):
        status, message = server.ask({**good, **more})
        assert (status, named in message) == (400, True), message
    status, message = server.ask({"dataframe_records": [{"x": 1, "other": 1, "more": 1}]})
    assert status == 400
    assert "'more'" in message


def test_records_that_would_be_filled_up_or_mixed_are_refused(serve):
    usual, server = serve(column("double"), strict=False), serve(column("double"))
    records = [{"x": 1.0, "other": 2.0}, {"x": 3.0}, {"other": 4.0}]
    assert usual.ask({"instances": records})[0] == 200
    assert usual.model.sent[0].values.tolist() == [[1, 2], [3, 4]]  # of two records
    for form in ("instances", "inputs", "dataframe_records"):
        status, message = server.ask({form: records})
        assert (status, "Row 1 has no 'other'" in message) == (400, True)


def test_a_column_that_may_be_missing_may_be_missing_in_some_records(serve):
    server = serve(Schema([ColSpec("double", "x"), ColSpec("double", "y", required=False)]))
    assert server.ask({"dataframe_records": [{"x": 1.0}, {"x": 1.0, "y": 2.0}]})[0] == 200
    assert server.ask({"inputs": {"x": [1.0]}})[0] == 200
    assert server.ask({"instances": [{"x": 1.0}, {"x": 1.0, "y": 2.0}]})[0] == 400


def test_columns_without_names_are_held_to_the_type_that_mlflow_gives_all_of_them(serve):
    schema = Schema([ColSpec("integer"), ColSpec("double")])
    usual = serve(schema, strict=False)
    usual.ask({"inputs": [[1, 2.7]]})
    assert usual.model.sent[0][1].tolist() == [2.0]
    server = serve(schema)
    assert server.ask({"inputs": [[1, 2.7]]})[0] == 400
    assert server.ask({"dataframe_split": {"data": [[1, 2.7]]}})[0] == 200
    assert server.ask({"dataframe_split": {"data": [[1, 2.7, 3]]}})[0] == 400


@pytest.mark.parametrize(
    ("dtype", "changed", "taken"),
    [
        ("int64", 1.7, 2.0),
        ("uint8", True, 255),
        ("float32", 1e300, 0.1),
        ("float32", 2**24 + 1, 2**24),
        ("float64", "1", 1),
        ("bool", "false", False),
        ("str", None, "a"),
        ("str", "a\0", "\0a"),
    ],
)
def test_tensors_are_checked_at_any_depth(serve, dtype, changed, taken):
    server = serve(Schema([TensorSpec(np.dtype(dtype), (-1, 2, 1))]))
    assert server.ask({"inputs": [[[taken], [taken]]]}) == (200, "")
    status, message = server.ask({"instances": [[[taken], [taken]], [[taken], [changed]]]})
    assert status == 400
    assert "row 1" in message


@pytest.mark.parametrize("value", ["a", 1, 1.5, True, None])
def test_tensors_of_objects_keep_what_json_brings(serve, value):
    server = serve(Schema([TensorSpec(np.dtype(object), (-1, 2))]))
    assert server.ask({"inputs": [[value, "b"]]}) == (200, "")
    assert server.model.sent[0].tolist() == [[value, "b"]]


def test_binary_in_csv_would_stay_text(serve):
    body = b"x,other\nYWI=,1.5\n"
    usual = serve(column("binary"), strict=False)
    assert usual.ask(body, CSV) == (200, "")
    assert usual.model.sent[0]["x"].tolist() == ["YWI="]
    status, message = serve(column("binary")).ask(body, CSV)
    assert status == 400
    assert "'x', row 0: binary" in message


def test_numbers_that_only_digits_tell_from_infinity_are_refused(serve):
    server = serve(column("double"))
    assert server.ask(b'{"inputs": {"x": [1e400], "other": [1]}}')[0] == 400
    assert server.ask(b'{"inputs": {"x": [Infinity], "other": [NaN]}}')[0] == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("s,d\nNA,1\n", "'s', row 0: a word that CSV reads as a missing value"),
        ("s,d\na,1\nb,1e400\n", "'d', row 1: beyond"),
        ("s,d\na,9007199254740993\n", "does not hold exactly"),
        ("s,d\na,1,\n", "Row 0 has 3 values for 2 columns"),
        ("s,d\na\n", "Row 0 has 1 values for 2 columns"),
        ("s,d\na,1\n\nb,2\n", "Row 1 has 0 values"),
        ("s,d,e\na,1,2\n", "'e' would be ignored"),
        ("s,d,d\na,1,2\n", "Two columns have one name"),
    ],
)
def test_csv_that_pandas_would_read_as_something_else_is_refused(serve, body, reason):
    schema = Schema([ColSpec("string", "s"), ColSpec("double", "d")])
    assert serve(schema, strict=False).ask(body.encode(), CSV)[0] in (200, 400)
    status, message = serve(schema).ask(body.encode(), CSV)
    assert status == 400
    assert reason in message


def test_csv_and_parquet_that_stay_what_they_are_are_answered(serve):
    server = serve(Schema([ColSpec("string", "s"), ColSpec("double", "d")]))
    assert server.ask(b's,d\n"a, b",1.5\r\n,\nx,-inf\n', CSV) == (200, "")
    for frame, status in (
        (pd.DataFrame({"s": ["a"], "d": [1.5]}, index=[7]), 200),
        (pd.DataFrame({"s": ["a"], "d": [1.5], "e": [1]}), 400),
    ):
        file = io.BytesIO()
        frame.to_parquet(file)
        assert server.ask(file.getvalue(), PARQUET)[0] == status


def test_words_for_missing_values_are_those_of_pandas():
    assert STR_NA_VALUES - {""} == MISSING_IN_CSV


def test_of_tensors_by_the_open_inference_protocol_rounded_integers_and_zones_are_refused(serve):
    def ask(server, datatype, *values):
        tensor = {"shape": [len(values)], "datatype": "FP64", "data": [1.5] * len(values)}
        tensors = [
            {**tensor, "name": "x", "datatype": datatype, "data": values},
            {**tensor, "name": "other"},
        ]
        return server.ask({"inputs": tensors}, protocol=V2)

    assert ask(serve(column("double"), strict=False), "INT64", 2**53 + 1)[0] == 200
    status, message = ask(serve(column("double")), "INT64", 1, 2**53 + 1)
    assert status == 400
    assert "Column 'x', row 1: an integer" in message
    assert ask(serve(column("double")), "INT64", 7)[0] == 200
    assert ask(serve(column("datetime")), "BYTES", "2024-01-01T00:00:00+02:00")[0] == 400
    assert ask(serve(column("datetime")), "BYTES", "2024-01-01T00:00:00")[0] == 200
    for shape in ([0], [], [-1], [0, 3]):
        tensor = {"name": "x", "shape": shape, "datatype": "INT64", "data": []}
        assert serve(column("double")).ask({"inputs": [tensor]}, protocol=V2)[0] == 422
    assert ask(serve(column("datetime")), "BYTES", None, "2024-01-01")[0] == 200
    block = {"name": "all", "shape": [1, 2], "datatype": "INT64", "data": [1, 2**53 + 1]}
    assert serve(column("double")).ask({"inputs": [block]}, protocol=V2)[0] == 400


def test_it_is_off_and_a_versions_tag_goes_before_the_setting():
    for setting, tags, strict in (
        (False, {}, False),
        (True, {}, True),
        (True, {"serving.strict": "off"}, False),
        (False, {"serving.strict": "ON"}, True),
    ):
        chosen, warnings = options(Settings(strict=setting), tags)
        assert (chosen.strict, warnings) == (strict, [])
    assert Settings().strict is False


def test_without_a_signature_only_what_would_be_ignored_or_mixed_is_refused(serve):
    server = serve(None)
    assert server.ask({"inputs": [[1, 2.5]]})[0] == 200
    assert server.ask({"dataframe_split": {"columns": ["a"], "data": [["x"]]}})[0] == 200
    assert server.ask({"instances": [{"a": 1, "b": 2}, {"a": 3}, {"b": 4}]})[0] == 400


@pytest.mark.parametrize("body", [b"{", b"[1]", b"{}", b'{"inputs": 1, "instances": 2}', b"\xff"])
def test_what_is_no_request_is_refused_as_without_it(serve, body):
    usual = serve(column("double"), strict=False).ask(body)
    assert serve(column("double")).ask(body) == usual


KINDS = ("boolean", "integer", "long", "float", "double", "string", "datetime")
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["1", "false", "None", "2024-01-01", "2024-01-01T00:00:00Z", "x", ""]),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), form=st.sampled_from(FORMATS), value=VALUES)
def test_whatever_is_answered_reached_the_model_as_it_was_written(serve, kind, form, value):
    server = serve(column(kind))
    if server.ask(body_of(form, value))[0] != 200:
        return
    seen = server.model.sent[0]["x"].tolist()[0]
    if kind == "datetime":
        assert pd.isna(seen) if value is None else pd.Timestamp(value) == seen
    elif value is None or value != value:
        assert pd.isna(seen)
    elif kind == "float" and isinstance(value, float):
        assert np.float32(value) == seen
    else:
        assert seen == value
        assert kind not in ("string", "boolean") or type(seen) is type(value)
