"""Requests predicted together get what they would get alone, whatever is in the others."""

import json
import os
import warnings

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model_server.options import Options
from model_server.processes.wire import Answer
from model_server.scoring.batching import MAX_ROWS, NotSplittableError, batches, split
from model_server.scoring.call import Call
from model_server.scoring.independence import same
from model_server.scoring.scorer import Scorer
from model_server.scoring.table import Table
from tests.unit.serving.scoring import models
from tests.unit.serving.scoring.models import doubles, of_function, of_sklearn, predictions, request

EXAMPLES = 500 if os.environ.get("FULL") == "1" else 50
NAMES = ("a", "b", "c", "d")
ROWS = 300
FEATURES = pd.DataFrame(models.rows(ROWS, 4), columns=NAMES)
TARGET = FEATURES["a"] * 2 + np.sin(FEATURES["b"] * 3) - FEATURES["c"] * FEATURES["d"]
LABEL = pd.cut(TARGET, [-np.inf, -1, 1, np.inf], labels=["low", "mid", "high"]).astype(str)

MIXED = pd.DataFrame(
    {
        "x": FEATURES["a"].where(FEATURES["b"] < 2),
        "n": (FEATURES["c"] * 10).astype(int),
        "is": FEATURES["d"] > 0,
        "colour": np.where(FEATURES["a"] > 1, None, np.where(FEATURES["b"] > 0, "red", "grün")),
    }
)
MIXED_SCHEMA = Schema(
    [
        ColSpec("double", "x"),
        ColSpec("long", "n"),
        ColSpec("boolean", "is"),
        ColSpec("string", "colour", required=False),
    ]
)


def pipeline():
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), ["x", "n"]),
            (
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="none"),
                    OneHotEncoder(handle_unknown="ignore"),
                ),
                ["colour"],
            ),
            remainder="passthrough",
        ),
        LogisticRegression(),
    )


def fitted(estimator, features=FEATURES, target=LABEL):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(features, target)


MODELS = {
    "scaled logistic regression": lambda: of_sklearn(
        fitted(make_pipeline(StandardScaler(), LogisticRegression())), doubles(*NAMES)
    ),
    "probabilities": lambda: of_sklearn(
        fitted(LogisticRegression()), doubles(*NAMES), "predict_proba"
    ),
    "forest": lambda: of_sklearn(
        fitted(RandomForestClassifier(20, random_state=0)), doubles(*NAMES)
    ),
    "boosted trees": lambda: of_sklearn(
        fitted(HistGradientBoostingRegressor(max_iter=20), target=TARGET), doubles(*NAMES)
    ),
    "two targets": lambda: of_sklearn(
        fitted(Ridge(), target=np.stack([TARGET, -TARGET], axis=1)), doubles(*NAMES)
    ),
    "neighbours of floats": lambda: of_sklearn(
        fitted(KNeighborsRegressor(), FEATURES.astype(np.float32), TARGET),
        Schema([ColSpec("float", name) for name in NAMES]),
    ),
    "tensor": lambda: of_sklearn(
        fitted(Ridge(), FEATURES.to_numpy(), TARGET),
        Schema([TensorSpec(np.dtype(float), (-1, 4))]),
    ),
    "no signature": lambda: of_sklearn(fitted(LogisticRegression()), None),
    "mixed columns": lambda: of_sklearn(fitted(pipeline(), MIXED), MIXED_SCHEMA),
}


def body_of(case: str, positions: list[int]) -> bytes:
    if case == "tensor":
        return json.dumps({"inputs": FEATURES.to_numpy()[positions].tolist()}).encode()
    frame = MIXED if case == "mixed columns" else FEATURES
    if case == "neighbours of floats":
        frame = frame.round(2)
    return json.dumps(models.split(frame.iloc[positions])).encode()


def by_mlflow(model, body: bytes) -> object:
    schema = model.metadata.get_input_schema()
    return json.loads(scoring_server.invocations(body, models.JSON, model, schema).response)


@pytest.fixture(scope="module", params=MODELS)
def served(request, tmp_path_factory):
    """A case's name, its model, and scorers of it without and with the fast path."""
    case = request.param
    model = MODELS[case]()
    folder = models.with_example(
        tmp_path_factory.mktemp("model"), json.loads(body_of(case, [0, 1, 2]))
    )
    scorers = [Scorer(model, folder, Options(fast=fast)) for fast in (False, True)]
    for scorer in scorers:
        assert scorer.description.batching, scorer.description.batching_reason
    return case, model, scorers


def answers(scorer: Scorer, bodies: list) -> list[Answer]:
    """Answers in the order of the requests."""
    requests = [request(body, number) for number, body in enumerate(bodies)]
    received = [answer for reply in scorer.replies(requests) for answer in reply.answers]
    assert sorted(answer.number for answer in received) == list(range(len(bodies)))
    return sorted(received, key=lambda answer: answer.number)


@settings(max_examples=EXAMPLES)
@given(
    st.lists(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=5), min_size=1, max_size=12)
)
def test_answers_together_are_mlflows_alone(served, requests):
    case, model, scorers = served
    bodies = [body_of(case, positions) for positions in requests]
    if case == "mixed columns":  # rows of missing strings alone are left to MLflow
        bodies.append(body_of(case, [int(MIXED["colour"].isna().idxmax())]))
    expected = [by_mlflow(model, body)["predictions"] for body in bodies]
    for scorer in scorers:
        for answer, wanted in zip(answers(scorer, bodies), expected, strict=True):
            assert answer.status == 200
            assert same(predictions(answer.body), wanted)


def test_one_prediction_is_made_of_all_that_waits(served):
    case, _, scorers = served
    positions = np.flatnonzero(MIXED["colour"].notna())[:6].tolist()
    for scorer in scorers:
        requests = [request(body_of(case, [at, at]), at) for at in positions]
        (reply,) = scorer.replies(requests)
        (batch,) = reply.batches
        assert (batch.requests, batch.rows) == (6, 12)
        assert min(batch.read, batch.predict, batch.write) > 0


@pytest.fixture(scope="module")
def logistic(tmp_path_factory):
    """A model that refuses rows with missing numbers, and scorers of it."""
    model = MODELS["scaled logistic regression"]()
    folder = tmp_path_factory.mktemp("logistic")
    return model, [Scorer(model, folder, Options(fast=fast)) for fast in (False, True)]


@settings(max_examples=EXAMPLES)
@given(
    requests=st.lists(
        st.lists(st.sampled_from(["good", "good", "bad"]), min_size=1, max_size=3),
        min_size=2,
        max_size=8,
    )
)
def test_a_bad_row_fails_its_own_request_alone(logistic, requests):
    model, scorers = logistic
    bodies = []
    for kinds in requests:
        values = models.rows(len(kinds), 4, seed=len(bodies)).tolist()
        for row, kind in zip(values, kinds, strict=True):
            row[2] = row[2] if kind == "good" else None
        bodies.append(json.dumps({"dataframe_split": {"columns": NAMES, "data": values}}).encode())
    for scorer in scorers:
        for kinds, body, answer in zip(requests, bodies, answers(scorer, bodies), strict=True):
            if "bad" in kinds:
                assert answer.status == 400
                assert json.loads(answer.body)["error_code"] == "BAD_REQUEST"
            else:
                assert answer.status == 200
                assert json.loads(answer.body) == by_mlflow(model, body)


ONE = doubles("a")


def forced(function, folder, inputs=ONE, example=None) -> Scorer:
    """Batching on by option: only the proof at load can switch it off."""
    if example is not None:
        models.with_example(folder, example)
    return Scorer(of_function(function, inputs), folder, Options(batch=True))


def text_bodies(texts: list[str]) -> list[dict]:
    return [{"inputs": {"text": [text]}} for text in texts]


TEXT = Schema([ColSpec("string", "text")])


@settings(max_examples=EXAMPLES)
@given(texts=st.lists(st.text("abcdefgh☃", min_size=1), min_size=2, max_size=20, unique=True))
def test_nobody_gets_anothers_data(texts, tmp_path_factory):
    """The model's errors hold all that it was given."""

    def echo(frame: pd.DataFrame) -> list:
        words = frame["text"].tolist()
        if any("b" in text for text in words):
            raise MlflowException(f"sorry {words}")
        if any("c" in text for text in words):
            raise ValueError(f"sorry {words}")
        return words

    scorer = forced(echo, tmp_path_factory.mktemp("echo"), TEXT)
    assert scorer.description.batching
    for text, answer in zip(texts, answers(scorer, text_bodies(texts)), strict=True):
        if "b" in text:
            assert answer.status == 500
            assert json.loads(answer.body)["message"] == "sorry ['…']"
        elif "c" in text:
            assert answer.status == 400
            message = json.loads(answer.body)["message"]
            assert message.startswith("The model raised ValueError: sorry ['…'] (request id")
        else:
            assert predictions(answer.body) == [text]


def test_result_that_cannot_be_told_apart_is_predicted_alone(tmp_path):
    """Seen at load for ordinary rows; here it comes later, for larger numbers."""

    def total(frame: pd.DataFrame) -> object:
        return [frame["a"].sum()] if frame["a"].max() >= 100 else frame["a"].tolist()

    scorer = forced(total, tmp_path)
    assert scorer.description.batching
    bodies = [{"inputs": {"a": [value, 1000]}} for value in (1, 2, 3)]
    assert [predictions(one.body) for one in answers(scorer, bodies)] == [[1001], [1002], [1003]]


@pytest.mark.parametrize(
    "returns",
    [
        lambda frame: frame["a"].to_numpy() * 2,
        lambda frame: frame["a"] * 2,
        lambda frame: frame * 2,
        lambda frame: (frame["a"] * 2).tolist(),
        lambda frame: [{"value": value, "by": ["a"]} for value in frame["a"]],
        lambda frame: {"one": frame["a"].to_numpy(), "two": (frame["a"] + 1).tolist()},
        lambda frame: [[[value], [value, 1]] for value in frame["a"]],
        lambda frame: np.array([None if value < 0 else str(value) for value in frame["a"]]),
        lambda frame: np.where(frame["a"] < 0, np.nan, frame["a"]),
        lambda frame: pd.DataFrame({"a": frame["a"], "text": frame["a"].astype(str)}),
    ],
)
def test_every_kind_of_result_is_split(returns, tmp_path):
    scorer = forced(returns, tmp_path)
    assert scorer.description.batching, scorer.description.batching_reason
    model = of_function(returns, ONE)
    bodies = [json.dumps({"inputs": {"a": [at, -at]}}).encode() for at in (1.0, 2.5, 3.0)]
    for body, answer in zip(bodies, answers(scorer, bodies), strict=True):
        assert same(json.loads(answer.body), by_mlflow(model, body))


class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise NotImplementedError

    __hash__ = None


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda frame: (frame["a"] - frame["a"].mean()).tolist(), "together are not those alone"),
        (lambda frame: list(range(len(frame))), "together are not those alone"),
        (lambda frame: np.random.default_rng().random(len(frame)), "together are not those alone"),
        (lambda frame: [frame["a"].sum()], "a result of 1 parts for"),
        (lambda frame: float(frame["a"].sum()), "a result of type float"),
        (lambda frame: frame["missing"], "raises KeyError"),
        (lambda frame: [Incomparable()] * len(frame), "cannot be compared: NotImplementedError"),
        (lambda frame: 1 / (2 - len(frame)) * frame["a"].to_numpy(), "not those alone"),
    ],
)
def test_what_is_not_independent_is_found_at_load(function, reason, tmp_path):
    scorer = forced(function, tmp_path, example={"inputs": {"a": [1, 2, 3]}})
    assert not scorer.description.batching
    assert reason in scorer.description.batching_reason
    assert len(list(scorer.replies([request({"inputs": {"a": [1]}}, at) for at in (0, 1)]))) == 2


def test_batching_is_for_independent_rows_or_by_option(tmp_path):
    def reason(options: Options, function=lambda frame: frame["a"].tolist(), inputs=ONE):
        return Scorer(of_function(function, inputs), tmp_path, options).description.batching_reason

    assert "serving.batch=on" in reason(Options())
    assert reason(Options(batch=True)) is None
    assert reason(Options(batch=False)) == "switched off"
    unnamed = Schema([ColSpec("double")])
    assert "of rows that can be merged" in reason(Options(batch=True), inputs=unnamed)
    estimator = of_sklearn(fitted(Ridge(), target=TARGET), doubles(*NAMES))
    assert Scorer(estimator, tmp_path, Options(batch=False)).description.batching is False
    assert Scorer(estimator, tmp_path).description.batching is True


@pytest.mark.parametrize("is_free", [True, False])
def test_onnx_needs_a_free_first_dimension(is_free, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    kind = onnx.TensorProto.DOUBLE
    shape = ["rows" if is_free else 2, 3]
    node = onnx.helper.make_node("Abs", ["x"], ["y"])
    tensors = [onnx.helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    graph = onnx.helper.make_graph([node], "abs", tensors[:1], tensors[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    content = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    mlflow.onnx.save_model(
        content,
        tmp_path / "model",
        signature=mlflow.models.ModelSignature(Schema([TensorSpec(np.dtype(float), (-1, 3), "x")])),
        pip_requirements=["onnx"],
    )
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    scorer = Scorer(model, tmp_path / "model")
    if not is_free:
        assert scorer.description.batching_reason == "the first dimension of its inputs is fixed"
        return
    bodies = [json.dumps({"inputs": {"x": [[at, -at, 0]]}}).encode() for at in range(3)]
    for body, answer in zip(bodies, answers(scorer, bodies), strict=True):
        assert json.loads(answer.body) == by_mlflow(model, body)
    (reply,) = scorer.replies([request(body, at) for at, body in enumerate(bodies)])
    assert reply.batches[0].requests == 3


def call(rows: int, group: object = None) -> Call:
    return Call(request({}), Table("a", block=np.zeros((rows, 1))), bytes, None, group)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.floats(allow_nan=False) | st.none() | st.integers() | st.text(max_size=3)))
def test_predictions_are_the_same_as_themselves_alone(values):
    for form in (values, tuple(values), {"a": values}, np.array([*values, "x"], dtype=object)):
        assert same(form, form)
        assert not same([form, 1.0], [form, 1.0 + 1e-9])
        assert not same([form, 1], [form, 1.0])
        assert not same([form, "a"], [form, "b"])


def test_batches_are_bounded_and_of_one_group():
    calls = [call(600, 1), call(1, 2), call(500, 1), call(3000, 2), call(2, 2), call(524, 1)]
    merged = list(batches(calls))
    assert sorted(id(one) for batch in merged for one in batch) == sorted(map(id, calls))
    for batch in merged:
        assert len({one.group for one in batch}) == 1
        assert len(batch) == 1 or sum(one.table.rows for one in batch) <= MAX_ROWS
    assert len(merged) == 5


@pytest.mark.parametrize("result", [7, "text", [1, 2], np.array(3), {"a": [1]}, None, np.ones(4)])
def test_what_is_not_one_part_a_row_is_not_split(result):
    with pytest.raises(NotSplittableError):
        split(result, [1, 2])
