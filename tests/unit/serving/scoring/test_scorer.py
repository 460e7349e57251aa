"""What a worker answers with, how it describes its model, and what it logs."""

import io
import json
import logging
import math
import time

import mlflow
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_EXHAUSTED
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array
from sklearn.linear_model import LogisticRegression, Ridge

from model_server.log import A_SECOND, Few
from model_server.options import Options
from model_server.processes import wire
from model_server.scoring import raised
from model_server.scoring.loading import MAX_CHARACTERS, MAX_WARNINGS, load
from model_server.scoring.mlflow.reader import written
from model_server.scoring.prediction import Predictor
from model_server.scoring.scorer import Scorer
from tests.unit.serving.scoring import models
from tests.unit.serving.scoring.models import (
    doubles,
    of_function,
    of_sklearn,
    predictions,
    request,
    signed,
    with_example,
)

AB = doubles("a", "b")
FEATURES = pd.DataFrame(models.rows(60, 2), columns=["a", "b"])


def classifier(predict_fn: str = "predict"):
    return of_sklearn(LogisticRegression().fit(FEATURES, FEATURES["a"] > 0), AB, predict_fn)


def answer(scorer: Scorer, one: wire.Request) -> wire.Answer:
    (reply,) = scorer.replies([one])
    (answered,) = reply.answers
    assert answered.number == one.number
    return answered


def test_requests_of_every_kind_in_one_frame(tmp_path):
    scorer = Scorer(classifier(), tmp_path)
    row = {"inputs": {"a": [3], "b": [0]}}
    tensors = [{"name": name, "shape": [1], "datatype": "FP64", "data": [-3]} for name in "ab"]
    csv = {"content_type": "text/csv"}
    requests = [
        request(row, 1),
        request({"inputs": tensors}, 2, protocol=wire.V2),
        request(b"a,b\n3,0\n", 3, **csv),
        request({"inputs": {"a": ["x"], "b": [0]}}, 4),
        request({"inputs": []}, 5, protocol=wire.V2),
        request(row, 6, deadline=time.monotonic() - 1),
        request(row, 7),
    ]
    replies = list(scorer.replies(requests))
    answers = {answer.number: answer for reply in replies for answer in reply.answers}
    assert {number: answers[number].status for number in sorted(answers)} == {
        1: 200, 2: 200, 3: 200, 4: 400, 5: 422, 6: 504, 7: 200,
    }  # fmt: skip
    assert predictions(answers[1].body) == predictions(answers[3].body) == [True]
    assert json.loads(answers[2].body)["outputs"][0]["data"] == [False]
    batches = [batch for reply in replies for batch in reply.batches]
    assert [(batch.requests, batch.rows) for batch in batches] == [(3, 3), (1, 0)]


@pytest.mark.parametrize("strict", [False, True])
def test_columns_of_a_frame_made_of_an_array_have_numbers_for_names(strict, tmp_path):
    frame = pd.DataFrame(FEATURES.to_numpy())
    model = LogisticRegression().fit(frame, frame[0] > 0)
    signature = Schema([ColSpec("double", 0), ColSpec("double", 1)])
    scorer = Scorer(of_sklearn(model, signature), tmp_path, Options(strict=strict))
    for body in (
        {"dataframe_split": {"columns": [0, 1], "data": [[3, 0]]}},
        {"dataframe_split": {"columns": [1, 0], "data": [[0, 3]]}},
        {"dataframe_split": {"data": [[3, 0]]}},
        {"inputs": [[3, 0]]},
    ):
        assert json.loads(answer(scorer, request(body, 1)).body) == {"predictions": [True]}
    block = [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [3, 0]}]
    columns = [
        {"name": n, "shape": [1], "datatype": "FP64", "data": [d]} for n, d in (("0", 3), ("1", 0))
    ]
    for tensors in (block, columns):
        body = answer(scorer, request({"inputs": tensors}, 1, protocol=wire.V2)).body
        assert json.loads(body)["outputs"][0]["data"] == [True]


def test_answers_come_as_soon_as_they_are_there(tmp_path):
    """What was answered is out before the next prediction, which may be the end of the process."""
    seen = []

    def slow(frame: pd.DataFrame) -> list:
        seen.append(frame["a"].tolist())
        return seen[-1]

    scorer = Scorer(of_function(slow, doubles("a")), tmp_path)
    for count, reply in enumerate(
        scorer.replies([request({"inputs": {"a": [at]}}, at) for at in range(3)]), start=1
    ):
        assert len(reply.answers) == 1
        assert len(seen) == count


def test_deadline_that_passes_in_the_frame(tmp_path):
    def until_then(frame: pd.DataFrame) -> list:
        while time.monotonic() <= deadline:
            pass
        return frame["a"].tolist()

    scorer = Scorer(of_function(until_then, doubles("a")), tmp_path)
    body = {"inputs": {"a": [1]}}
    alone = {"dataframe_split": {"columns": ["a"], "data": [[1]], "index": [7]}}
    deadline = time.monotonic() + 0.2
    requests = [request(body, 1), *(request(b, 2, deadline=deadline) for b in (body, alone))]
    statuses = [a.status for reply in scorer.replies(requests) for a in reply.answers]
    assert statuses == [200, 504, 504]


@pytest.mark.parametrize("is_alone", [False, True])
@pytest.mark.parametrize(
    ("error", "status", "error_code", "message"),
    [
        (
            ValueError("no 12.5 for 'secret', see /srv/x/model.pkl"),
            *(400, "BAD_REQUEST"),
            "The model raised ValueError: no … for '…', see model.pkl (request id id-5)",
        ),
        (MlflowException("of /srv/models/x"), 500, "INTERNAL_ERROR", "of x"),
        (MlflowException("later", RESOURCE_EXHAUSTED), 429, "RESOURCE_EXHAUSTED", "later"),
    ],
)
def test_errors_of_the_model_are_the_same_in_both_lanes(
    error, status, error_code, message, is_alone, tmp_path, caplog
):
    def fail(_):
        raise error

    index = [7] if is_alone else [0]
    schema = Schema([ColSpec("double", "a"), ColSpec("string", "b")])
    data = {"columns": ["a", "b"], "data": [[12.5, "secret"]], "index": index}
    body = {"dataframe_split": data}
    scorer = Scorer(of_function(fail, schema), tmp_path)
    with caplog.at_level(logging.WARNING, "model_server"):
        answered = answer(scorer, request(body, 5, trace="0af7651916cd43dd8448eb211c80319c"))
    content = json.loads(answered.body)
    assert (answered.status, content["error_code"]) == (status, error_code)
    assert content["message"].startswith(message)
    assert "secret" not in content["message"]
    if isinstance(error, ValueError):
        (record,) = caplog.records
        assert (record.message, record.request_id) == ("model raised", "id-5")
        assert record.trace_id == "0af7651916cd43dd8448eb211c80319c"
        assert "in fail" in record.trace
        assert "ValueError: no … for '…', see model.pkl" in record.trace
        assert "secret" not in record.trace


class Box:
    pass


@pytest.mark.parametrize("is_alone", [False, True])
@pytest.mark.parametrize(
    ("returned", "what"),
    [
        (Box(), "an object of type Box"),
        ([1, Box()], "list with an object of type Box in it"),
        (pd.DataFrame({"a": [Box()]}), "DataFrame with an object of type Box in it"),
        ([{(1, 2): 3}], "list with a key of type tuple in it"),
    ],
)
def test_prediction_that_has_no_json_form(returned, what, is_alone, tmp_path, caplog):
    index = [7] if is_alone else [0]
    body = {"dataframe_split": {"columns": ["a"], "data": [[1]], "index": index}}
    scorer = Scorer(of_function(lambda _: returned, doubles("a")), tmp_path)
    answered = answer(scorer, request(body, 5))
    content = json.loads(answered.body)
    assert (answered.status, content["error_code"]) == (500, "INTERNAL_ERROR")
    assert content["message"].startswith(f"The model returned {what}, which JSON cannot hold.")
    assert "request id id-5" in content["message"]
    (record,) = [record for record in caplog.records if record.message == "prediction failed"]
    assert record.request_id == "id-5"


MORE = "more predictions failed"


def test_many_failures_leave_few_lines_in_the_log(tmp_path, caplog, monkeypatch):
    def fail(_):
        raise ValueError("no")

    seconds = []
    few = Few(lambda _, over: seconds.append(over), raised._say_more)
    monkeypatch.setattr(raised, "_few", few)
    scorer = Scorer(of_function(fail, doubles("a")), tmp_path)
    requests = [request({"inputs": {"a": [1]}}, at) for at in range(200)]
    with caplog.at_level(logging.WARNING, "model_server"):
        replies = list(scorer.replies(requests))
        assert [one.status for reply in replies for one in reply.answers] == [400] * 200
        (the_second_is_over,) = seconds
        the_second_is_over()
    lines = [line.message for line in caplog.records]
    assert lines == ["model raised"] * A_SECOND + [MORE]
    assert caplog.records[-1].count == 200 - A_SECOND


class Address(pydantic.BaseModel):
    street: str


class Person(pydantic.BaseModel):
    name: str
    age: int
    address: Address | None = None


def of_type_hint(hint, tmp_path):
    class Typed(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: hint) -> list:
            return [str(one) for one in model_input]

    mlflow.pyfunc.save_model(tmp_path / "model", python_model=Typed(), pip_requirements=[])
    return Scorer(load(tmp_path / "model")[0], tmp_path)


GOOD = {"name": "Ann", "age": 47}


@pytest.mark.parametrize("is_v2", [False, True])
@pytest.mark.parametrize(
    ("hint", "data", "told"),
    [
        (
            list[Person],
            [GOOD, GOOD | {"age": "secret", "address": {}}],
            "input[1].age: Input should be a valid integer; input[1].address.street: Field requ",
        ),
        (list[Person], [{"age": 47}, GOOD, {}], "input[0].name: Field required; input[2].name: "),
        (list[list[int]], [[1, 2], [3, "secret"]], "input[1][1]: Expected type int, but got str"),
        (list[dict[str, int]], [{"a": 1}, {"a": "secret"}], "input[1].a: Expected type int, but"),
    ],
)
def test_type_hints_name_the_field_and_leave_out_its_value(hint, data, told, is_v2, tmp_path):
    scorer = of_type_hint(hint, tmp_path)
    if is_v2:
        texts = [json.dumps(one) for one in data]
        named = {"name": "x", "shape": [len(data)], "datatype": "BYTES", "data": texts}
        named["parameters"] = {"content_type": "json"}
        answered = answer(scorer, request({"inputs": [named]}, 5, protocol=wire.V2))
    else:
        answered = answer(scorer, request({"inputs": data}, 5))
    content = json.loads(answered.body)
    assert answered.status == (422 if is_v2 else 400)
    assert content["error_code"] == "INVALID_PARAMETER_VALUE"
    assert content["message"].startswith(f"The input does not fit the model's type hint: {told}")
    assert "secret" not in content["message"]


PARAMS = ParamSchema([ParamSpec("add", "double", 0.5)])


class Adder:
    def predict(self, data, params=None):
        return (data["a"] + params["add"]).to_numpy()


def test_params_reach_the_model_and_merge_only_with_their_equals(tmp_path):
    scorer = Scorer(signed(Adder(), doubles("a"), params=PARAMS), tmp_path, Options(batch=True))
    assert scorer.description.batching
    bodies = [{"inputs": {"a": [1]}, "params": {"add": 1}}, {"inputs": {"a": [2]}}] * 2
    replies = list(scorer.replies([request(body, at) for at, body in enumerate(bodies)]))
    predicted = {answer.number: predictions(answer.body) for r in replies for answer in r.answers}
    assert predicted == {0: [2.0], 1: [2.5], 2: [2.0], 3: [2.5]}
    assert [reply.batches[0].requests for reply in replies] == [2, 2]


def test_description(tmp_path):
    scorer = Scorer(classifier(), with_example(tmp_path, {"inputs": {"a": [1], "b": [2]}}))
    about = scorer.description
    assert (about.flavor, about.batching, about.batching_reason) == ("sklearn", True, None)
    assert about.inputs == AB.to_dict()
    assert about.outputs is about.params is None
    assert json.loads(scorer.example) == {"inputs": {"a": [1], "b": [2]}}
    about = Scorer(classifier(), tmp_path, Options(fast=False, batch=False)).description
    assert (about.engine, about.engine_reason) == ("model", "switched off")
    assert (about.batching, about.batching_reason) == (False, "switched off")
    about = Scorer(signed(Adder(), doubles("a"), params=PARAMS), tmp_path).description
    assert about.flavor == "python_function"
    assert about.params == PARAMS.to_dict()
    schema = Schema([TensorSpec(np.dtype(float), (-1, 3))])
    tensors = Scorer(of_function(np.abs, schema), tmp_path).description
    assert wire.pack(wire.Loaded(description=tensors))


def test_model_without_a_signature_is_mlflows(tmp_path):
    scorer = Scorer(signed(models.Function(lambda frame: frame["a"] * 2), None), tmp_path)
    answered = answer(scorer, request({"dataframe_records": [{"a": 1, "more": None}]}))
    assert predictions(answered.body) == [{"a": 2}]
    assert scorer.description.inputs is None


@pytest.mark.parametrize("predict_fn", ["predict", "predict_proba", "predict_log_proba"])
def test_prediction_without_a_second_check_is_pyfuncs(predict_fn, tmp_path):
    """Held against the MLflow that is pinned: it is reached through a private attribute."""
    mlflow.sklearn.save_model(
        LogisticRegression().fit(FEATURES, FEATURES["a"] > 0),
        tmp_path / "model",
        signature=ModelSignature(inputs=AB),
        pyfunc_predict_fn=predict_fn,
        pip_requirements=["scikit-learn"],
    )
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    scorer = Scorer(model, tmp_path / "model", Options(fast=False))
    body = models.split(FEATURES.head(5))
    predictor = Predictor(model)
    assert predictor._call == model._predict_fn
    expected = model.predict(FEATURES.head(5))
    predicted = predictions(answer(scorer, request(body)).body)
    np.testing.assert_allclose(predicted, expected, rtol=1e-12, atol=1e-12)
    assert np.asarray(predicted).dtype.kind == expected.dtype.kind


def test_other_models_are_asked_by_pyfuncs_predict(tmp_path):
    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # noqa: ARG002
            return model_input["a"] * 2

    mlflow.pyfunc.save_model(
        tmp_path / "model",
        python_model=Model(),
        signature=ModelSignature(inputs=doubles("a")),
        pip_requirements=["pandas"],
    )
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert Predictor(model)._call == model.predict
    scorer = Scorer(model, tmp_path / "model")
    assert predictions(answer(scorer, request({"inputs": {"a": [1]}})).body) == [{"a": 2.0}]


def test_frames_keep_estimators_from_warning_of_names(tmp_path, recwarn):
    scorer = Scorer(of_sklearn(Ridge().fit(FEATURES, FEATURES["a"]), AB), tmp_path)
    answer(scorer, request(models.split(FEATURES.head(2))))
    assert not [one for one in recwarn if "feature names" in str(one.message)]


def test_type_hints_are_left_to_mlflow(tmp_path):
    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str], params=None) -> list[str]:  # noqa: ARG002
            return [text.upper() for text in model_input]

    mlflow.pyfunc.save_model(tmp_path / "model", python_model=Model(), pip_requirements=[])
    scorer = Scorer(mlflow.pyfunc.load_model(str(tmp_path / "model")), tmp_path / "model")
    (reply,) = scorer.replies([request({"inputs": ["one"]})])
    assert predictions(reply.answers[0].body) == ["ONE"]
    assert reply.batches[0].rows == 0


def test_columns_of_other_types_are_left_to_mlflow(tmp_path):
    schema = Schema([ColSpec(Array(DataType.double), "a"), ColSpec("datetime", "when")])
    scorer = Scorer(of_function(lambda frame: [str(frame["when"][0])], schema), tmp_path)
    answered = answer(scorer, request({"dataframe_records": [{"a": [1.5], "when": "2020-01-02"}]}))
    assert predictions(answered.body) == ["2020-01-02 00:00:00"]


# Results and how they are written.


def by_mlflow(result: object) -> str:
    text = io.StringIO()
    scoring_server.predictions_to_json(result, text)
    return text.getvalue()


SCALARS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.text(max_size=5),
    st.just("null"),
    st.none(),
    st.floats(width=32).map(np.float32),
    st.integers(0, 9).map(np.int64),
)
DTYPES = st.sampled_from(["f8", "f4", "f2", "i8", "i4", "u8", "u1", "?", "U"])


@st.composite
def arrays(draw) -> np.ndarray:
    dtype = np.dtype(draw(DTYPES))
    elements = {
        "f": st.floats(width=8 * dtype.itemsize if dtype.itemsize else 64),
        "i": st.integers(-100, 100) | st.just(int(np.iinfo("i4").max)),
        "u": st.integers(0, 255),
        "b": st.booleans(),
        "U": st.text(max_size=3),
    }[dtype.kind]
    values = draw(st.lists(elements, min_size=1, max_size=6))
    array = np.array(values, dtype=dtype)
    return array.reshape(draw(st.sampled_from([(-1,), (-1, 1), (1, -1)])))


RESULTS = st.one_of(
    arrays(),
    st.lists(SCALARS, max_size=5),
    st.lists(SCALARS, max_size=5).map(lambda values: np.array([*values, ""], dtype=object)),
    st.lists(st.lists(SCALARS, max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=3), SCALARS, max_size=3),
    arrays().filter(lambda a: a.ndim == 1).map(lambda a: pd.DataFrame({"x": a, "y": a})),
    arrays().filter(lambda a: a.ndim == 1).map(pd.Series),
    SCALARS,
)


def identical(one: object, other: object) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(identical(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@settings(max_examples=1_000)
@given(RESULTS)
def test_answers_are_written_as_mlflow_would(result):
    try:
        expected = by_mlflow(result)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        with pytest.raises(type(error)):
            written(result)
        return
    assert identical(json.loads(written(result)), json.loads(expected))


def test_warnings_of_mlflow_are_few_short_and_without_paths(tmp_path):
    mlflow.sklearn.save_model(
        Ridge().fit(FEATURES, FEATURES["a"]), tmp_path / "model", pip_requirements=["numpy==1.0"]
    )
    file = tmp_path / "model" / "MLmodel"
    file.write_text(
        "".join(
            line.replace(line.split(":")[1].strip(), "2.7.1") if "python_version" in line else line
            for line in file.read_text().splitlines(keepends=True)
        )
    )
    _, warnings = load(tmp_path / "model")
    assert len(warnings) == 1
    assert "2.7.1" in warnings[0]


def test_warnings_are_bounded(tmp_path, monkeypatch):
    def load_model(_):
        for at in range(MAX_WARNINGS + 5):
            logging.getLogger("mlflow.any").warning("%s /srv/models/x %s", at, "x" * 1000)

    monkeypatch.setattr(mlflow.pyfunc, "load_model", load_model)
    _, warnings = load(tmp_path)
    assert len(warnings) == MAX_WARNINGS
    assert all(len(text) <= MAX_CHARACTERS and "/srv" not in text for text in warnings)
