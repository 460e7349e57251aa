"""An engine answers what its model answers, to the last bit on the rows tried here; what differs is
found out when it is loaded, and what it cannot do is left to the model."""

import json
import os
import sys
import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from model_server.scoring.fast import engine, ensemble, proof
from model_server.scoring.fast.engine import Engine, NoFastPath, find
from model_server.scoring.fast.rows import BeyondError
from model_server.scoring.mlflow.example import request_body
from model_server.scoring.mlflow.reader import MlflowReader
from model_server.scoring.prediction import Predictor
from model_server.scoring.scorer import Scorer
from model_server.scoring.table import Table
from tests.unit.serving.scoring.models import of_sklearn, request, split, with_example

FULL = os.environ.get("FULL") == "1"

wine, kinds = load_wine(return_X_y=True, as_frame=True)
wine.columns = [f"c{number}" for number in range(13)]
labels = np.array(["rot", "weiß", "rosé"])[kinds]
target = wine.c0 * kinds + wine.c3
random = np.random.default_rng(0)
people = pd.DataFrame(
    {
        "age": random.normal(40, 10, 400),
        "income": random.lognormal(10, 1, 400),
        "city": random.choice(["Bonn", "Köln", "Aachen", "Jena"], 400),
        "kind": random.choice(list("abc"), 400),
        "visits": random.integers(0, 9, 400),
        "member": random.random(400) < 0.5,
    }
)
people.loc[::17, "age"] = np.nan
buys = ((people.income > 20_000) ^ (people.city == "Bonn")).astype(int)
singles = wine.astype(np.float32)
integers = (wine * 10).astype(int)
booleans = wine > wine.mean()
numbers = wine.astype({"c0": np.float32, "c1": int, "c2": bool, "c3": np.int32})
holes = wine.mask(random.random(wine.shape) < 0.1)


def mixed(**encoder) -> ColumnTransformer:
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer(
        [
            ("numbers", numeric, ["age", "income"]),
            ("texts", OneHotEncoder(handle_unknown="ignore", **encoder), ["city", "kind"]),
            ("rest", "passthrough", ["visits", "member"]),
        ]
    )


def ordinal() -> ColumnTransformer:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("texts", encoder, ["city", "kind"])], remainder="passthrough")


imputed = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
)

MODELS = {
    "scaled logistic regression": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        wine,
        labels,
    ),
    "two classes": (make_pipeline(RobustScaler(), LogisticRegression()), wine, kinds == 1),
    "class weight": (LogisticRegression(class_weight="balanced", max_iter=20), wine, kinds),
    "stochastic": (make_pipeline(StandardScaler(), SGDClassifier()), wine, labels),
    "ridge classifier": (make_pipeline(MinMaxScaler(clip=True), RidgeClassifier()), wine, kinds),
    "perceptron": (make_pipeline(MaxAbsScaler(), Perceptron()), wine, kinds),
    "support vectors": (make_pipeline(StandardScaler(), LinearSVC()), wine, kinds),
    "search": (GridSearchCV(RidgeClassifier(), {"alpha": [0.1, 1]}), wine, kinds),
    "linear regression": (LinearRegression(), wine, target),
    "ridge": (Ridge(), wine, target),
    "lasso": (Lasso(), wine, target),
    "elastic net": (ElasticNet(), wine, target),
    "stochastic regression": (make_pipeline(StandardScaler(), SGDRegressor()), wine, target),
    "support vector regression": (make_pipeline(StandardScaler(), LinearSVR()), wine, target),
    "forest": (RandomForestClassifier(50), wine, labels),
    "forest of mixed leaves": (RandomForestClassifier(50, min_samples_leaf=5), wine, kinds),
    "forest with ties": (RandomForestClassifier(4, max_depth=2), wine, kinds),
    "forest of weights": (RandomForestClassifier(9, class_weight="balanced"), wine, kinds),
    "forest that knows holes": (RandomForestClassifier(20), holes, kinds),
    "forest regression": (RandomForestRegressor(20), wine, target),
    "extra trees": (ExtraTreesClassifier(20), wine, kinds),
    "extra trees regression": (ExtraTreesRegressor(20), wine, target),
    "tree": (DecisionTreeClassifier(max_depth=3), wine, labels),
    "tree regression": (DecisionTreeRegressor(), wine, target),
    "stump of one leaf": (DecisionTreeRegressor(max_depth=1), wine * 0 + 1, target),
    "boosting": (GradientBoostingClassifier(n_estimators=20), wine, labels),
    "boosting of two": (GradientBoostingClassifier(n_estimators=20), wine, kinds == 1),
    "boosting regression": (GradientBoostingRegressor(n_estimators=20), wine, target),
    "histogram": (HistGradientBoostingClassifier(max_iter=20), holes, labels),
    "histogram of two": (HistGradientBoostingClassifier(max_iter=20), wine, kinds == 1),
    "histogram regression": (HistGradientBoostingRegressor(max_iter=20), wine, target),
    "counts": (HistGradientBoostingRegressor(max_iter=20, loss="poisson"), wine, target),
    "mixed columns": (make_pipeline(mixed(), LogisticRegression()), people, buys),
    "mixed columns, dense": (
        make_pipeline(mixed(sparse_output=False), HistGradientBoostingClassifier(max_iter=20)),
        people,
        buys,
    ),
    "mixed columns, forest": (make_pipeline(mixed(), RandomForestClassifier(20)), people, buys),
    "mixed columns, regression": (
        make_pipeline(mixed(drop="first"), Ridge()),
        people,
        people.income,
    ),
    "ordinal": (
        make_pipeline(ordinal(), HistGradientBoostingRegressor(max_iter=20)),
        people,
        people.income,
    ),
    "texts imputed": (
        make_pipeline(ColumnTransformer([("texts", imputed, ["city", "kind"])]), LinearSVC()),
        people,
        buys,
    ),
    "categories that are numbers": (
        make_pipeline(ColumnTransformer([("n", OneHotEncoder(), ["visits", "member"])]), Ridge()),
        people,
        people.income,
    ),
    "singles": (make_pipeline(StandardScaler(), LogisticRegression()), singles, kinds),
    "singles, other scale": (make_pipeline(MinMaxScaler(), LogisticRegression()), singles, kinds),
    "singles, forest": (RandomForestClassifier(20), singles, kinds),
    "integers": (make_pipeline(StandardScaler(), LogisticRegression()), integers, kinds),
    "integers, forest": (RandomForestClassifier(20), integers.astype(np.int32), kinds),
    "booleans": (LogisticRegression(), booleans, kinds),
    "booleans, forest": (RandomForestClassifier(20), booleans, kinds),
    "numbers of all types": (
        make_pipeline(StandardScaler(), RandomForestClassifier(9)),
        numbers,
        kinds,
    ),
}
PROBABILITIES = {
    "softmax": (make_pipeline(StandardScaler(), LogisticRegression()), labels),
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression()), kinds == 1),
    "one against the rest": (
        make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss")),
        kinds,
    ),
    "forest": (RandomForestClassifier(20, max_depth=3), kinds),
    "forest of pure leaves": (RandomForestClassifier(20), kinds),
    "boosting": (GradientBoostingClassifier(n_estimators=9), kinds),
    "boosting of two": (GradientBoostingClassifier(n_estimators=9), kinds == 1),
    "histogram": (HistGradientBoostingClassifier(max_iter=9), kinds),
    "histogram of two": (HistGradientBoostingClassifier(max_iter=9), kinds == 1),
}


class Served:
    """A model, logged and loaded."""

    def __init__(self, folder: Path, estimator, frame: pd.DataFrame, answers, **options) -> None:
        self.folder = folder
        self.frame = frame
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(frame, answers)
            options.setdefault("signature", infer_signature(frame))
            mlflow.sklearn.save_model(
                estimator,
                folder,
                serialization_format="cloudpickle",
                pip_requirements=["scikit-learn"],
                **options,
            )
        self.model = mlflow.pyfunc.load_model(str(folder))
        self.own = Predictor(self.model)

    def engine(self) -> Engine:
        example = request_body(self.folder, self.model.metadata)
        return find(self.model, MlflowReader(self.model).example_table(example))

    def tables(self, count: int) -> list[Table]:
        """Rows of the training data, and the same with other numbers near them."""
        random = np.random.default_rng(count)
        rows = self.frame.iloc[random.integers(0, len(self.frame), count)].reset_index(drop=True)
        near = rows.copy()
        for name in near.columns:
            if near[name].dtype.kind == "f":
                near[name] *= random.normal(1, 0.3, count).astype(near[name].dtype)
        return [table_of(rows), table_of(near)]


@pytest.fixture
def serve(tmp_path):
    """Log and load a model."""
    numbers = iter(range(100))
    return lambda *args, **options: Served(tmp_path / str(next(numbers)), *args, **options)


@pytest.fixture(scope="module", params=MODELS)
def served(request, tmp_path_factory):
    return Served(tmp_path_factory.mktemp("served") / "model", *MODELS[request.param])


def table_of(frame: pd.DataFrame) -> Table:
    columns = [
        frame[name].to_numpy(None if frame[name].dtype.kind in "biuf" else object)
        for name in frame.columns
    ]
    if len({column.dtype for column in columns}) == 1 and columns[0].dtype != object:
        return Table(frame.columns, block=np.stack(columns, axis=1))
    return Table(frame.columns, columns=columns)


def assert_same_bits(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype == object:
        assert actual.tolist() == expected.tolist()
    else:
        assert actual.tobytes() == np.ascontiguousarray(expected).tobytes()


def answer(predict, table: Table) -> np.ndarray | str:
    """The answer, or the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return predict(table)
    except Exception as error:
        return repr(error)


def reason(served: Served) -> str:
    with pytest.raises(NoFastPath) as caught:
        served.engine()
    return str(caught.value)


def test_each_kind_of_model_has_an_engine_that_answers_the_same_without_its_help(served):
    engine = served.engine()
    for count in (1, 2, 7, 64, 400):
        for table in served.tables(count):
            assert_same_bits(engine.alone(table), served.own(table))


@settings(
    max_examples=200 if FULL else 20,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_value_gets_the_answer_or_the_error_of_the_model(served, data):
    engine = getattr(served, "proven", None) or served.engine()
    served.proven = engine
    count = data.draw(st.integers(1, 3))
    columns = [
        values(data, dtype, known, count)
        for dtype, known in (
            (column.dtype, column.tolist()) for column in columns_of(table_of(served.frame))
        )
    ]
    table = table_of(pd.DataFrame(dict(zip(served.frame.columns, columns, strict=True))))
    if table.columns and any(one.dtype == object and None in one for one in table.columns):
        table = Table(table.names, columns=columns)
    expected = answer(served.own, table)
    actual = answer(engine.predict, table)
    if isinstance(expected, str):
        assert actual == expected
    else:
        assert_same_bits(actual, expected)


def columns_of(table: Table) -> list[np.ndarray]:
    return list(table.block.T) if table.block is not None else table.columns


def values(data, dtype: np.dtype, known: list, count: int) -> np.ndarray:
    """A column of what the model has seen, and anything else of the type."""
    width = dtype.itemsize * 8
    anything = {
        "f": lambda: st.floats(width=width),
        "i": lambda: st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1),
        "b": st.booleans,
        "O": lambda: st.one_of(st.text(max_size=4), st.none()),
    }[dtype.kind]()
    drawn = data.draw(
        st.lists(st.one_of(st.sampled_from(known), anything), min_size=count, max_size=count)
    )
    column = np.empty(count, dtype=dtype)
    column[:] = drawn
    return column


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (kind, function)
        for kind, (estimator, _) in PROBABILITIES.items()
        for function in ("predict_proba", "predict_log_proba")
        if hasattr(estimator, function)
    ],
)
def test_probabilities_are_the_same(serve, kind, function):
    estimator, answers = PROBABILITIES[kind]
    served = serve(estimator, wine, answers, pyfunc_predict_fn=function)
    engine = served.engine()
    for count in (1, 64):
        for table in served.tables(count):
            assert_same_bits(engine.alone(table), served.own(table))


def test_a_tensor_is_rows_too(serve):
    block = wine.to_numpy()
    served = serve(LogisticRegression(max_iter=20), block, kinds, signature=infer_signature(block))
    table = Table((), block=block, is_tensor=True)
    assert_same_bits(served.engine().alone(table), served.own(table))


def test_the_input_example_is_part_of_the_proof(serve):
    served = serve(RandomForestClassifier(5), wine, kinds, input_example=wine.head(2))
    assert served.engine().name == "onnxruntime"
    file = served.folder / "serving_input_example.json"
    body = json.loads(file.read_text())
    body["dataframe_split"]["data"][0][0] = 1e300  # the model refuses it
    file.write_text(json.dumps(body))
    assert reason(served) == "the model refuses its own input example: ValueError"


class Derived(LogisticRegression):
    """May do anything."""


PARAMS = ModelSignature(
    inputs=Schema([ColSpec("double", name) for name in wine.columns]),
    params=ParamSchema([ParamSpec("depth", "long", 3)]),
)
DATES = ModelSignature(inputs=Schema([ColSpec("datetime", name) for name in wine.columns]))
OTHER_ORDER = ModelSignature(
    inputs=Schema([ColSpec("double", name) for name in reversed(wine.columns)])
)
REFUSED = {
    "PCA has no equivalent": (make_pipeline(PCA(2), Ridge()), {}),
    "Derived has no equivalent": (Derived(max_iter=5), {}),
    "FunctionTransformer that calls a function has no equivalent": (
        make_pipeline(FunctionTransformer(np.sqrt), Ridge()),
        {},
    ),
    "predicts by score": (Ridge(), {"pyfunc_predict_fn": "score"}),
    "predicts with params": (Ridge(), {"signature": PARAMS}),
    "its signature has columns of other types than numbers and texts": (
        Ridge(),
        {"signature": DATES},
    ),
    "the signature's columns are not those that it was fitted on": (
        Ridge(),
        {"signature": OTHER_ORDER},
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_model_without_a_fast_path_says_why(serve, why):
    estimator, options = REFUSED[why]
    assert reason(serve(estimator, wine, kinds, **options)) == why


def test_several_outputs_are_left_to_the_model(serve):
    twice = np.column_stack([kinds, kinds])
    assert reason(serve(RandomForestClassifier(3), wine, twice)) == "it predicts several outputs"


def test_a_model_without_signature_or_of_another_flavor_has_none(serve, tmp_path):
    served = serve(Ridge(), wine, kinds)
    served.model.metadata.signature = None
    assert reason(served) == "no signature"

    mlflow.pyfunc.save_model(
        tmp_path / "own", python_model=lambda model_input: model_input, pip_requirements=[]
    )
    own = mlflow.pyfunc.load_model(str(tmp_path / "own"))
    with pytest.raises(NoFastPath, match="not a scikit-learn model"):
        find(own, None)


def test_an_ensemble_too_large_to_convert_in_time_is_served_as_it_is(serve, monkeypatch):
    monkeypatch.setattr(ensemble, "MAX_NODES", 100)
    why = reason(serve(RandomForestClassifier(20, random_state=0), wine, kinds))
    assert why.endswith("nodes, more than 100")


def test_without_onnx_runtime_trees_are_served_as_they_are(serve, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert reason(serve(RandomForestClassifier(3), wine, kinds)) == "onnxruntime is not installed"


def test_attributes_that_another_release_lacks_are_no_reason_to_fail(serve):
    served = serve(RandomForestClassifier(3), wine, kinds)
    del served.model.get_raw_model().n_outputs_
    assert reason(served) == "its conversion fails: AttributeError"


def moved_threshold(model: RandomForestClassifier) -> None:
    """Move one node's in six hundred to the next float32."""
    thresholds = model.estimators_[3].tree_.threshold
    thresholds[0] = np.nextafter(np.float32(thresholds[0]), np.float32(np.inf))


def moved_coefficient(model) -> None:
    model[-1].coef_ = model[-1].coef_ * (1 + 1e-9)


def moved_scale(model) -> None:
    model[0].scale_ = model[0].scale_ * (1 + 1e-9)


def swapped_classes(model) -> None:
    model.classes_ = model.classes_[[0, 2, 1]]


def wider_labels(model) -> None:
    model.classes_ = model.classes_.astype(float)


def turned_holes(model: HistGradientBoostingClassifier) -> None:
    for first, *_ in model._predictors:
        first.nodes["missing_go_to_left"] ^= 1


def forgotten_category(model) -> None:
    encoder = model[0].named_transformers_["texts"]
    encoder.categories_[0] = np.array(["Aachen", "Bonn", "Jena", "Ulm"], dtype=object)


CHANGES = [
    (moved_threshold, RandomForestClassifier(20, random_state=0), wine, kinds),
    (moved_coefficient, make_pipeline(StandardScaler(), LogisticRegression()), wine, kinds),
    (moved_scale, make_pipeline(StandardScaler(), LogisticRegression()), wine, kinds),
    (moved_coefficient, make_pipeline(mixed(sparse_output=False), LinearSVC()), people, buys),
    (swapped_classes, RandomForestClassifier(20), wine, kinds),
    (wider_labels, RandomForestClassifier(20), wine, kinds),
    (turned_holes, HistGradientBoostingClassifier(max_iter=9), holes, kinds),
    (forgotten_category, make_pipeline(mixed(), LogisticRegression()), people, buys),
]


@pytest.mark.parametrize(("change", "estimator", "frame", "answers"), CHANGES)
def test_the_proof_finds_an_engine_that_differs_by_a_hair(
    serve, monkeypatch, change, estimator, frame, answers
):
    served = serve(estimator, frame, answers)
    held = proof.prove

    def prove(*args):
        held(*args)
        change(served.model.get_raw_model())
        held(*args)

    monkeypatch.setattr(engine, "prove", prove)
    assert reason(served).startswith(("answers differ", "the model refuses"))


def test_tables_of_other_columns_than_were_proven_are_left_to_the_model(serve):
    served = serve(RandomForestClassifier(5), wine, kinds)
    engine = served.engine()
    block = wine.to_numpy()
    others = [
        Table(wine.columns, block=block.astype(np.float32)),
        Table(wine.columns, columns=list(block.T)[:12]),
        Table(wine.columns[::-1], block=block),
        Table((), block=block, is_tensor=True),
        Table(wine.columns, block=block[:0]),
    ]
    for table in others:
        with pytest.raises(BeyondError):
            engine.alone(table)
        expected, actual = answer(served.own, table), answer(engine.predict, table)
        assert str(actual) == str(expected)


def test_large_tables_of_trees_are_left_to_the_model(serve):
    served = serve(RandomForestClassifier(5), wine, kinds)
    table = table_of(pd.concat([wine] * 6, ignore_index=True))
    with pytest.raises(BeyondError):
        served.engine().alone(table)
    assert_same_bits(served.engine().predict(table), served.own(table))


def test_rows_as_near_to_a_tie_as_rounding_reaches_are_left_to_a_model_on_sparse_rows(serve):
    frame = pd.DataFrame({"kind": ["a", "b"] * 20, "size": [1.0, -1.0] * 20})
    encoder = OneHotEncoder(handle_unknown="ignore")
    steps = ColumnTransformer([("kind", encoder, ["kind"])], remainder="passthrough")
    steps.sparse_threshold = 1.0
    served = serve(make_pipeline(steps, LinearSVC()), frame, frame["kind"] == "a")
    engine = served.engine()
    svc = served.model.get_raw_model()[-1]
    even = -svc.intercept_[0] / svc.coef_[0, -1]
    unknown = np.array(["c", "c"], dtype=object)
    table = Table(frame.columns, columns=[unknown, np.array([even, even])])
    with pytest.raises(BeyondError):
        engine.alone(table)
    assert_same_bits(engine.predict(table), served.own(table))


RATINGS = [f"{side}_{at}" for side in ("home", "away") for at in range(3)]
RIVALS = {
    "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression(fit_intercept=False)),
    "ridge": lambda: RidgeClassifier(fit_intercept=False),
    "regression": lambda: make_pipeline(StandardScaler(), Ridge()),
}


@pytest.mark.parametrize("types", [["double"], ["double", "float"]])
@pytest.mark.parametrize("case", RIVALS)
def test_a_tie_falls_as_alone_whoever_else_asks(case, types, tmp_path):
    """Rounding says which of two equal sides wins."""
    random = np.random.default_rng(0)
    home, away = random.integers(1, 10, (2, 200, 3)) / 10
    rows = np.vstack([np.hstack([home, away]), np.hstack([away, home])])
    wins = (home - away) @ [0.3, -0.2, 0.7] > 0
    frame = pd.DataFrame(rows, columns=RATINGS)
    estimator = RIVALS[case]().fit(frame, np.concatenate([wins, ~wins]).astype(int))
    schema = Schema([ColSpec(types[at % len(types)], name) for at, name in enumerate(RATINGS)])
    scorer = Scorer(of_sklearn(estimator, schema), with_example(tmp_path, split(frame.head(3))))
    assert scorer.description.engine == "numpy"
    assert scorer.description.batching

    equal = np.tile(random.integers(1, 10, (300, 3)) / 10, 2)
    for parts in (300, 150, 200):  # of one row, of two, and of both
        requests = [
            request(split(pd.DataFrame(part, columns=RATINGS)), number)
            for number, part in enumerate(np.array_split(equal, parts))
        ]
        replies = list(scorer.replies(requests))
        assert sum(len(reply.batches) for reply in replies) == 1
        together = {one.number: one.body for reply in replies for one in reply.answers}
        for one in requests:
            ((alone,),) = [reply.answers for reply in scorer.replies([one])]
            assert together[one.number] == alone.body
