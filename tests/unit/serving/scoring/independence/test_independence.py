"""Which models have their requests merged: those whose rows are known to be independent."""

import json
import os
import sys
import warnings
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from mlflow.types import ParamSchema, ParamSpec
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import NMF, PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.semi_supervised import LabelPropagation
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from xgboost import XGBClassifier

from model_server.options import Options
from model_server.scoring.independence import estimators, rowwise, same
from model_server.scoring.scorer import Scorer
from tests.unit.serving.scoring import models
from tests.unit.serving.scoring.models import doubles, of_sklearn, request, signed

PLAIN = Options(fast=False)
EXAMPLES = 200 if os.environ.get("FULL") == "1" else 5
NAMES = ("a", "b", "c")
X = pd.DataFrame(np.abs(models.rows(60, 3)), columns=NAMES)
Y = (X["a"] + X["b"] > X["c"] * 2).astype(int)


def fill(frame):
    return frame.fillna(frame.mean()).fillna(0.0)


def rank(frame):
    return frame.rank()


def group_mean(frame):
    return frame.groupby(frame["a"].round()).transform("mean")


def centred(frame):
    return np.asarray(frame) - np.asarray(frame).mean(axis=0)


def frobenius(left, right):
    return float(np.abs(left - right).sum())


def kernel(left, right):
    return left @ right.T


class OwnScaler(StandardScaler):
    def transform(self, rows, copy=None):  # noqa: ARG002
        return (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)


class Ranked(TransformerMixin, BaseEstimator):
    def fit(self, rows, y=None):  # noqa: ARG002
        return self

    def transform(self, rows):
        return np.asarray(rows).argsort(axis=0)


class Majority(ClassifierMixin, BaseEstimator):
    def fit(self, rows, y):  # noqa: ARG002
        self.classes_ = np.unique(y)
        return self

    def predict(self, rows):
        return np.full(len(rows), int(np.asarray(rows).sum() > 3 * len(rows)))


class Limit(float):
    """A number that may do anything."""


# A class without a module, as of code run from a text.
exec("class Kernel:\n    def __call__(self, one, other): return one @ other.T", scope := {})  # noqa: S102
Kernel = scope["Kernel"]


class StandardScalerOfMine(StandardScaler):
    """Says that it is scikit-learn's."""


StandardScalerOfMine.__module__ = "sklearn.preprocessing._data"


class Words(list):
    """A text's words, when called as a function."""


class MyXGBClassifier(XGBClassifier):
    def predict(self, rows, **more):
        return super().predict(rows, **more) + int(len(rows) > 1)


def function(*arguments, **more):
    return make_pipeline(FunctionTransformer(*arguments, **more), LogisticRegression())


def before(step):
    return make_pipeline(step, LogisticRegression())


def replaced():
    model = LogisticRegression().fit(X, Y)
    model.predict = lambda rows: np.full(len(rows), len(rows))
    return model


DEPENDENT = {
    "a function that fills with the mean": lambda: function(fill),
    "ranks": lambda: function(rank),
    "means of groups": lambda: function(group_mean),
    "a function that centres": lambda: function(centred),
    "a lambda": lambda: function(lambda frame: frame - frame.min()),
    "numpy's cumsum": lambda: function(np.cumsum, kw_args={"axis": 0}),
    "numpy's sort": lambda: function(np.sort, kw_args={"axis": 0}),
    "numpy's clip by arrays": lambda: function(np.clip, kw_args={"a_min": [0, 1, 2], "a_max": 9}),
    "a ufunc that leaves numbers out": lambda: function(np.log1p, kw_args={"where": False}),
    "a ufunc of one's own": lambda: function(np.frompyfunc(lambda number: number, 1, 1)),
    "a partial": lambda: function(__import__("functools").partial(np.add, 1)),
    "a scaler of one's own": lambda: before(OwnScaler()),
    "a transformer of one's own": lambda: before(Ranked()),
    "a classifier of one's own": Majority,
    "a subclass under scikit-learn's name": lambda: before(StandardScalerOfMine()),
    "one inside a union": lambda: before(make_union(StandardScaler(), Ranked())),
    "one inside a column transformer": lambda: before(make_column_transformer((Ranked(), ["a"]))),
    "one inside a search": lambda: GridSearchCV(before(Ranked()), {}, cv=2),
    "one inside a vote": lambda: VotingClassifier([("mine", Majority()), ("tree", GaussianNB())]),
    "one inside a stack": lambda: StackingClassifier([("mine", before(Ranked()))], cv=2),
    "one inside a bag": lambda: BaggingClassifier(before(Ranked()), 2),
    "one that is calibrated": lambda: CalibratedClassifierCV(before(Ranked()), cv=2),
    "draws by strategy": lambda: DummyClassifier(strategy="stratified"),
    "uniform draws": lambda: DummyClassifier(strategy="uniform"),
    "a metric of one's own": lambda: KNeighborsClassifier(metric=frobenius),
    "weights of one's own": lambda: KNeighborsClassifier(weights=lambda distances: distances + 1),
    "neighbours by brute force": lambda: KNeighborsClassifier(algorithm="brute"),
    "temperatures": lambda: CalibratedClassifierCV(
        RadiusNeighborsClassifier(5, outlier_label=7), method="temperature", cv=2
    ),
    "a mean of integers nearby": lambda: RadiusNeighborsRegressor(0.5),
    "cosines of products": lambda: before(RBFSampler()),
    "labels that spread": LabelPropagation,
    "clipped by a number of one's own": lambda: function(
        np.clip, kw_args={"a_min": Limit(0), "a_max": 1}
    ),
    "a kernel of no module": lambda: SVC(kernel=Kernel()),
    "a kernel of one's own": lambda: SVC(kernel=kernel),
    "imputation by iteration": lambda: before(IterativeImputer()),
    "imputation by neighbours": lambda: before(KNNImputer()),
    "matrix factorisation": lambda: before(NMF(2, max_iter=20)),
    "targets by a function of one's own": lambda: TransformedTargetRegressor(
        LinearRegression(), func=centred, inverse_func=centred, check_inverse=False
    ),
    "a method that was replaced": replaced,
    "a subclass of another library's": lambda: MyXGBClassifier(n_estimators=3),
}  # fmt: skip

INDEPENDENT = {
    "linear regression": LinearRegression,
    "ridge": Ridge,
    "logistic regression": LogisticRegression,
    "a tree": DecisionTreeClassifier,
    "a forest": lambda: RandomForestClassifier(3),
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=3),
    "gradient boosting by histograms": lambda: HistGradientBoostingClassifier(max_iter=3),
    "isolation forest": lambda: IsolationForest(n_estimators=3),
    "naive Bayes": GaussianNB,
    "support vectors": SVC,
    "neighbours by tree": KNeighborsClassifier,
    "neural network": lambda: MLPClassifier((4,), max_iter=5),
    "Gaussian process": GaussianProcessRegressor,
    "the most frequent": lambda: DummyClassifier(strategy="most_frequent"),
    "scaled": lambda: before(StandardScaler()),
    "components": lambda: before(PCA(2)),
    "imputed": lambda: before(SimpleImputer(add_indicator=True)),
    "bins": lambda: before(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")),
    "quantiles": lambda: before(QuantileTransformer(n_quantiles=20)),
    "powers": lambda: before(PowerTransformer()),
    "splines": lambda: before(SplineTransformer()),
    "logarithms": lambda: function(np.log1p),
    "nothing": lambda: function(),
    "clipped by numbers": lambda: function(np.clip, kw_args={"a_min": 0, "a_max": 1}),
    "chosen": lambda: before(SelectKBest(f_classif, k=2)),
    "a union": lambda: before(make_union(StandardScaler(), PCA(1))),
    "columns": lambda: before(make_column_transformer((StandardScaler(), ["a"]))),
    "a search": lambda: GridSearchCV(
        LogisticRegression(), {"C": [1]}, cv=2, scoring=make_scorer(accuracy_score)
    ),
    "one against the rest": lambda: OneVsRestClassifier(LogisticRegression()),
    "calibrated": lambda: CalibratedClassifierCV(GaussianNB(), cv=2),
    "a vote": lambda: VotingClassifier([("one", GaussianNB()), ("two", LogisticRegression())]),
    "a stack": lambda: StackingClassifier([("one", GaussianNB())], cv=2),
    "a mean of numbers nearby": lambda: TransformedTargetRegressor(
        RadiusNeighborsRegressor(5), func=np.log1p, inverse_func=np.expm1
    ),
    "a bag": lambda: BaggingClassifier(LogisticRegression(), 2),
    "targets by logarithm": lambda: TransformedTargetRegressor(
        Ridge(), func=np.log1p, inverse_func=np.expm1
    ),
}


def scorer_of(make, folder, options=None) -> Scorer:
    estimator = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "predict" not in vars(estimator):
            estimator.fit(X, Y)
        models.with_example(folder, models.split(X.head(3)))
        return Scorer(
            of_sklearn(estimator, doubles(*NAMES)), folder, options or Options(fast=False)
        )


@pytest.mark.parametrize("case", DEPENDENT)
def test_model_that_may_look_at_other_rows_is_never_merged(case, tmp_path):
    description = scorer_of(DEPENDENT[case], tmp_path).description
    assert not description.batching
    reason = description.batching_reason
    assert reason.startswith(("the step ", "the model (")), reason


@pytest.mark.parametrize("case", INDEPENDENT)
def test_model_of_independent_rows_is_merged(case, tmp_path):
    description = scorer_of(INDEPENDENT[case], tmp_path).description
    assert description.batching, description.batching_reason


@pytest.mark.parametrize(
    "make", [XGBClassifier, LGBMClassifier, lambda: before_boosting(StandardScaler())]
)
def test_models_of_other_libraries_are_merged_by_their_names(make, tmp_path):
    description = scorer_of(make, tmp_path).description
    assert description.batching, description.batching_reason


def before_boosting(step):
    return make_pipeline(step, XGBClassifier(n_estimators=3))


def test_a_class_of_ones_own_is_a_function_like_any_other():
    reason = estimators.why_not(CountVectorizer(analyzer=Words))
    assert reason.startswith("the model (Words of ")


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_each_of_several_pipelines_is_looked_at(bad, monkeypatch):
    """imbalanced-learn's, whose steps are chosen from: it is not installed here."""
    kind = type("Pipeline", (Pipeline,), {"__module__": "imblearn.pipeline"})
    monkeypatch.setitem(sys.modules, "imblearn.pipeline", SimpleNamespace(Pipeline=kind))
    steps = [StandardScaler(), StandardScaler(), StandardScaler()]
    steps[bad] = FunctionTransformer(centred)
    pipelines = [kind([("step", step), ("model", GaussianNB())]) for step in steps]
    vote = VotingClassifier([(f"p{at}", one) for at, one in enumerate(pipelines)]).fit(X, Y)
    assert "FunctionTransformer of centred" in estimators.why_not(vote)


def test_reason_names_the_step_and_the_function(tmp_path):
    scorer = scorer_of(DEPENDENT["a function that fills with the mean"], tmp_path)
    assert scorer.description.batching_reason == (
        "the step 'functiontransformer' (FunctionTransformer of fill) may look at all rows of a "
        "prediction; serving.batch=on says that it does not"
    )


@pytest.mark.parametrize(
    "case", ["a function that fills with the mean", "ranks", "draws by strategy"]
)
def test_what_is_said_to_be_independent_still_has_to_prove_it(case, tmp_path):
    """The mean is taken only where a value is missing, which the input example has nowhere."""
    description = scorer_of(DEPENDENT[case], tmp_path, Options(fast=False, batch=True)).description
    assert description.batching_reason == "predictions together are not those alone"


def test_every_class_of_scikit_learn_is_known_to_be_independent_or_not():
    classes = {f"{kind.__module__.split('.')[1]}.{name}" for name, kind in all_estimators()}
    assert not set(rowwise.ROWWISE) & set(rowwise.DEPENDENT)
    assert classes <= set(rowwise.ROWWISE) | set(rowwise.DEPENDENT)
    known = set(rowwise.ROWWISE) | set(rowwise.DEPENDENT)
    assert known - classes == {name for name in known if name.partition(".")[2].startswith("_")}


def boosted(tmp_path, params=None):
    xgboost = pytest.importorskip("xgboost", reason="not in every environment")
    estimator = xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(X, Y)
    models.with_example(tmp_path, models.split(X.head(3)))
    wrapper = mlflow.xgboost._XGBModelWrapper(estimator)
    return estimator, signed(wrapper, doubles(*NAMES), "mlflow.xgboost", params)


def test_booster_is_merged_unless_a_method_of_it_was_replaced(tmp_path):
    estimator, model = boosted(tmp_path)
    assert Scorer(model, tmp_path, PLAIN).description.batching
    estimator.get_booster = estimator.get_booster
    reason = Scorer(model, tmp_path, PLAIN).description.batching_reason
    assert "whose get_booster was replaced" in reason


def test_booster_with_params_is_not_merged(tmp_path):
    """A margin for each row fits two requests of one row each, and neither of them alone."""
    params = ParamSchema([ParamSpec("base_margin", "double", [0.5, 0.5], shape=(-1,))])
    _, model = boosted(tmp_path, params)
    reason = Scorer(model, tmp_path, PLAIN).description.batching_reason
    assert "base_margin" in reason


def test_number_beside_none_without_neighbours_is_the_one_alone(tmp_path):
    near, far = ({"inputs": {name: [at] for name in NAMES}} for at in (1.0, 1e6))
    scorer = scorer_of(lambda: RadiusNeighborsRegressor(5.0), tmp_path)
    assert not scorer.description.batching
    asked = [request(near, 1), request(far, 2)]
    together = {one.number: one.body for reply in scorer.replies(asked) for one in reply.answers}
    ((alone,),) = [reply.answers for reply in scorer.replies([request(far)])]
    assert together[2] == alone.body


@pytest.fixture(scope="module")
def scorers(tmp_path_factory):
    kinds = ("a function that fills with the mean", "ranks", "a scaler of one's own")
    cases = {name: DEPENDENT[name] for name in kinds}
    cases |= {name: INDEPENDENT[name] for name in ("imputed", "a forest", "a union", "a stack")}
    return [scorer_of(make, tmp_path_factory.mktemp("m")) for make in cases.values()]


NUMBERS = st.none() | st.sampled_from([0.0, -1e300, 1e300]) | st.floats(-1e4, 1e4)
ROW = st.tuples(NUMBERS, NUMBERS, NUMBERS)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.lists(st.tuples(*[NUMBERS] * 3), min_size=1, max_size=3), min_size=2, max_size=9)
)
def test_answers_in_any_company_are_those_alone(scorers, requests):
    bodies = [
        {"dataframe_split": {"columns": NAMES, "data": [list(row) for row in rows]}}
        for rows in requests
    ]
    for scorer in scorers:
        replies = scorer.replies([request(body, at) for at, body in enumerate(bodies)])
        together = {answer.number: answer for reply in replies for answer in reply.answers}
        for at, body in enumerate(bodies):
            (reply,) = scorer.replies([request(body)])
            (alone,) = reply.answers
            assert together[at].status == alone.status
            if alone.status == 200:
                assert same(json.loads(together[at].body), json.loads(alone.body))


ONNX = {
    "nothing but numbers": ("Abs", {}, None, None),
    "softmax of a row": ("Softmax", {"axis": 1}, None, None),
    "softmax of all rows": ("Softmax", {"axis": 0}, None, "works across the rows"),
    "mean of a row": ("ReduceMean", {"keepdims": 1}, [1], None),
    "mean of all rows": ("ReduceMean", {"keepdims": 1}, [0], "works across the rows"),
    "mean of everything": ("ReduceMean", {}, None, "works across the rows"),
    "sum along a row": ("CumSum", {}, 1, None),
    "sum along the rows": ("CumSum", {}, 0, "works across the rows"),
    "some rows": ("Gather", {"axis": 0}, [0], "chooses rows by their place"),
    "some columns": ("Gather", {"axis": 1}, [0, 2], None),
    "rows repeated": ("Tile", {}, [2, 1], "repeats rows"),
    "columns repeated": ("Tile", {}, [1, 2], None),
    "reshaped": ("Reshape", {}, [0, 3, 1], None),
    "reshaped by a number": ("Reshape", {}, [-1, 3, 1], None),
    "halves of rows as rows": ("Reshape", {}, [-1, 1], "need not keep them apart"),
    "squeezed": ("Squeeze", {}, None, "drops the dimension of the rows"),
    "transposed": ("Transpose", {"perm": [1, 0]}, None, "has not one part a row"),
    "unknown": ("Det", {}, None, "nothing is known of Det"),
    "hardmax of all rows": ("Hardmax", {"axis": 0}, None, "works across the rows"),
    "normalised over all rows": ("MeanVarianceNormalization", {"axes": [0]}, None, "nothing is"),
    "random": ("RandomNormalLike", {}, None, "draws random numbers"),
    "flattened": ("Flatten", {}, None, None),
    "scaled by the batch": ("DynamicQuantizeLinear", {}, None, "takes its scale from all rows"),
    "the best columns": ("TopK", {"axis": 1}, [2], None),
    "the best rows": ("TopK", {"axis": 0}, [1], "works across the rows"),
}


@pytest.mark.parametrize("case", ONNX)
def test_onnx_graph_is_merged_where_no_operator_works_across_rows(case, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the server's own dependency; optional in workers")
    from model_server.scoring.independence import graph

    operator, attributes, second, reason = ONNX[case]
    numbers = [] if second is None else [onnx.numpy_helper.from_array(np.array(second), "second")]
    outputs = {"DynamicQuantizeLinear": ["y", "s", "z"], "TopK": ["y", "i"]}.get(operator, ["y"])
    node = onnx.helper.make_node(
        operator, ["x", "second"] if numbers else ["x"], outputs, name="here", **attributes
    )
    kind = onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        [node],
        "g",
        [onnx.helper.make_tensor_value_info("x", kind, ["rows", 3])],
        [onnx.helper.make_tensor_value_info("y", kind, None)],
        numbers,
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    file = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(made, opset_imports=opset, ir_version=9), file)
    why = graph.why_not(file)
    if reason is None:
        assert why is None
    else:
        assert reason in why
        assert "here" in why or "output" in why


@pytest.mark.parametrize(
    ("operator", "reason"), [("Abs", None), ("Det", "nothing is known of Det")]
)
def test_functions_of_an_onnx_graph_are_followed(operator, reason, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the server's own dependency; optional in workers")
    from model_server.scoring.independence import graph

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    node = helper.make_node(operator, ["x"], ["y"])
    function = helper.make_function("own", "Function", ["x"], ["y"], [node], opsets[:1])
    made = helper.make_graph(
        [helper.make_node("Function", ["x"], ["y"], domain="own")],
        "g",
        [helper.make_tensor_value_info("x", kind, ["rows", 3])],
        [helper.make_tensor_value_info("y", kind, None)],
    )
    file = tmp_path / "model.onnx"
    model = helper.make_model(made, functions=[function], opset_imports=opsets, ir_version=9)
    onnx.save(model, file)
    why = graph.why_not(file)
    assert why is None if reason is None else reason in why
