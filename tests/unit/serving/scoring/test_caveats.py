"""Surprises are told of the models that they concern, are what MLflow does, and have their row in
docs/differences.md."""

import json
import re
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property
from onnx import TensorProto, helper
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from model_server.scoring.caveats import CAVEATS, MAX_CHARACTERS, MLFLOW, warnings
from model_server.scoring.mlflow.reader import MlflowReader
from tests.unit.serving.scoring.models import recorded

DIFFERENCES = Path(__file__).parents[4] / "docs" / "differences.md"
PLAIN = Schema([ColSpec("double", "a"), ColSpec("double", "b")])


def names(model, **options) -> list[str]:
    return [line.partition(":")[0] for line in warnings(model, **options)]


def given_by(model, body) -> object:
    """What the model is given; None where MLflow refuses."""
    model._model_impl.sent = None
    text, kind = (body, "text/csv") if isinstance(body, str) else (json.dumps(body), "")
    try:
        scoring_server.invocations(
            text, kind or "application/json", model, model.metadata.get_input_schema()
        )
    except MlflowException:
        return None
    data, params = model._model_impl.sent
    if params:
        return params
    if isinstance(data, pd.DataFrame):
        return list(map(list, zip(*(data[name].tolist() for name in data), strict=True)))
    return data.tolist()


def split(*values) -> dict:
    return {"dataframe_split": {"columns": ["x"], "data": [[value] for value in values]}}


def column(kind, **options) -> Schema:
    return Schema([ColSpec(kind, "x", **options)])


def test_a_model_of_plain_numbers_has_no_warnings():
    assert warnings(recorded(PLAIN)) == []
    assert warnings(recorded(None)) == []
    assert warnings(recorded(Schema([TensorSpec(np.dtype("float64"), (-1, 3))]))) == []


TIMES = [pd.Timestamp("2024-01-01")]
SURPRISES = [
    ("texts", column("string"), {"inputs": {"x": [None, 7]}}, [["None"], ["7"]]),
    ("texts", column("string"), split(7), [[7]]),
    ("texts", column("string"), "x\nNA\n", [[None]]),
    ("booleans", column("boolean"), split("false", 0.5, None), [[True], [True], [False]]),
    ("booleans", Schema([TensorSpec(np.dtype("bool"), (-1,))]), {"inputs": ["false"]}, [True]),
    ("integers", column("long"), split(1.7), [[1]]),
    ("integers", column("integer"), split(2**31), [[-(2**31)]]),
    ("integers", Schema([TensorSpec(np.dtype("uint8"), (-1,))]), {"inputs": [1.7]}, [1]),
    ("float32", column("float"), {"inputs": {"x": [1e300]}}, [[np.inf]]),
    ("float32", Schema([TensorSpec(np.dtype("float32"), (-1,))]), {"inputs": [1e300]}, [np.inf]),
    ("times", column("datetime"), split("2024-01-01T02:00:00+02:00"), None),
    ("times", column("datetime"), {"inputs": {"x": ["2024-01-01T02:00:00+02:00"]}}, [TIMES]),
    ("times", column("datetime"), {"inputs": {"x": ["9999-12-31"]}}, 1816),
    ("times", column("datetime"), "x\n2024-01-01\n", None),
    ("bytes", column("binary"), split("YWJj"), [[b"abc"]]),
    ("bytes", column("binary"), {"inputs": {"x": ["YWJj"]}}, [[b"YWJj"]]),
    (
        "unnamed-columns",
        Schema([ColSpec("integer"), ColSpec("double")]),
        {"inputs": [[1, 2.7]]},
        [[1, 2.0]],
    ),
    ("lists-of-texts", column(Array("string")), split(["abc", None]), [[["a", "n"]]]),
    ("lists-of-doubles", column(Array("double")), split([2, 3]), None),
    ("lists-of-doubles", column(Array("double")), split([2, 3.5]), [[[2.0, 3.5]]]),
    ("lists-of-doubles", column(Map("double")), split({"k": 3}), None),
    ("lists-of-narrow-numbers", column(Array("float")), split([0.5]), None),
    ("lists-of-narrow-numbers", column(Object([Property("p", "integer")])), split({"p": 1}), None),
]


@pytest.mark.parametrize(("name", "schema", "body", "right"), SURPRISES)
def test_what_is_told_of_a_type_is_what_mlflow_does(name, schema, body, right):
    model = recorded(schema)
    assert name in names(model)
    seen = given_by(model, body)
    if right == 1816:
        assert seen[0][0].year == right
    else:
        assert seen == right or (seen, right) == ([[pytest.approx(np.nan, nan_ok=True)]], [[None]])


class Hinted(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[bool], params=None):  # noqa: ARG002
        return [repr(one) for one in model_input]


def test_type_hints_let_nothing_be_changed_and_so_nothing_is_told(tmp_path):
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(folder, python_model=Hinted(), pip_requirements=[])
    model = mlflow.pyfunc.load_model(str(folder))
    assert warnings(model) == []
    for value in ("false", 0, None):
        with pytest.raises(MlflowException):
            model.predict([value])


def test_names_may_be_numbers():
    model = recorded(Schema([ColSpec("string", 0), ColSpec("boolean", 1)]))
    texts, booleans = warnings(model)
    assert "text columns (0)" in texts
    assert "boolean columns (1)" in booleans


def test_of_params_it_is_told_that_null_replaces_their_default():
    params = ParamSchema([ParamSpec("k", "long", 5)])
    model = recorded(PLAIN, params)
    assert names(model) == ["params"]
    rows = {"inputs": {"a": [1.0], "b": [1.0]}}
    assert given_by(model, {**rows, "params": {"k": None, "j": 1}}) == {"k": None}


def test_that_a_lone_null_is_another_is_told_where_it_is(tmp_path):
    rows = pd.DataFrame({"kind": ["a", "a", "a", "b", None] * 10})
    target = (rows.kind == "b") * 10.0
    told = {}
    for name, filled in (
        ("one", SimpleImputer(strategy="most_frequent")),  # of None and NaN
        ("both", FunctionTransformer(lambda frame: frame.fillna("a"))),
    ):
        kinds = OneHotEncoder(handle_unknown="ignore")
        fitted = make_pipeline(filled, kinds, LinearRegression()).fit(rows, target)
        signature = infer_signature(rows, target)
        model = loaded(
            tmp_path / name,
            "sklearn",
            fitted,
            signature=signature,
            serialization_format="cloudpickle",
        )
        example = MlflowReader(model).example(json.dumps({"inputs": {"kind": ["b"]}}).encode())
        told[name] = "lone-null" in names(model, rows=example.table)
        assert "lone-null" not in names(model)

        def answered(*kinds, model=model):
            frame = pd.DataFrame({"kind": pd.Series(kinds, dtype=None if any(kinds) else object)})
            return model.predict(frame)[0]

        assert (answered(None) == pytest.approx(answered(None, "b"), abs=1e-9)) != told[name]
    assert told == {"one": True, "both": False}


def test_a_strict_model_is_not_told_what_it_refuses():
    model = recorded(Schema([ColSpec("boolean", "a"), ColSpec(Array("double"), "b")]))
    assert names(model) == ["booleans", "lists-of-doubles"]
    assert names(model, strict=True) == ["lists-of-doubles"]
    (line,) = warnings(recorded(None), strict=True)
    assert line.startswith("serving.strict has no signature")


def test_a_line_is_bounded_and_names_columns_version_and_source():
    many = Schema([ColSpec("boolean", f"{'very' * 40} long {number}") for number in range(100)])
    (line,) = warnings(recorded(many))
    assert len(line) <= MAX_CHARACTERS
    assert " and 95 more" in line
    (line,) = warnings(recorded(Schema([ColSpec("boolean", "spam")])))
    assert "(spam)" in line
    assert line.endswith(f"({MLFLOW}, mlflow/utils/proto_json_utils.py)")


def graph(outputs: dict[str, list]) -> onnx.ModelProto:
    """Sums of rows, one for each output, repeated to its width."""
    nodes, axes = [], helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    constants = [axes]
    for name, shape in outputs.items():
        nodes.append(helper.make_node("ReduceSum", ["X", "axes"], [f"{name}_sum"]))
        width = shape[1] if len(shape) > 1 else 1
        constants.append(helper.make_tensor(f"{name}_n", TensorProto.INT64, [2], [1, width]))
        nodes.append(helper.make_node("Expand", [f"{name}_sum", f"{name}_n"], [f"{name}_wide"]))
        last = ["Identity", [f"{name}_wide"]] if len(shape) > 1 else None
        nodes.append(helper.make_node(*(last or ["Squeeze", [f"{name}_wide", "axes"]]), [name]))
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "graph",
        [value("X", TensorProto.FLOAT, [None, 2])],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def loaded(folder, flavor, model, **options) -> PyFuncModel:
    """Saved without looking for what it requires, which takes MLflow seconds."""
    getattr(mlflow, flavor).save_model(model, folder, pip_requirements=["mlflow"], **options)
    return mlflow.pyfunc.load_model(str(folder))


def test_of_an_onnx_classifier_it_is_told_that_frames_are_refused(tmp_path):
    model = loaded(tmp_path / "it", "onnx", graph({"label": [None], "probabilities": [None, 3]}))
    assert names(model) == ["by-position", "onnx-frames"]
    assert "(probabilities)" in warnings(model)[1]
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "b"])
    with pytest.raises(ValueError, match="same length"):
        model.predict(frame)


def test_of_an_onnx_regressor_of_several_targets_it_is_told_that_they_are_flattened(tmp_path):
    model = loaded(tmp_path / "it", "onnx", graph({"targets": [None, 3]}))
    assert "onnx-frames" in names(model)
    assert len(model.predict(pd.DataFrame([[1.0, 2.0]]))) == 3


def test_an_onnx_model_that_answers_frames_well_is_not_told_of(tmp_path):
    narrow, wide = graph({"target": [None, 1]}), graph({"targets": [None, 3]})
    signature = infer_signature(np.ones((2, 2), dtype="float32"))
    assert names(loaded(tmp_path / "narrow", "onnx", narrow)) == ["by-position"]
    assert names(loaded(tmp_path / "wide", "onnx", wide, signature=signature)) == ["float32"]


def test_statsmodels_without_a_signature_is_told_that_columns_count_by_position(tmp_path):
    pytest.importorskip("statsmodels")
    from statsmodels import api
    from statsmodels.formula import api as formulas

    rows = pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "b": [5.0, 3, 8, 1, 2]})
    target = rows.a * 10 + rows.b
    fitted = api.OLS(target, rows).fit()
    for name, result, signature, told in (
        ("plain", fitted, None, ["by-position"]),
        ("signed", fitted, infer_signature(rows, target), []),
        ("formula", formulas.ols("y ~ a + b", rows.assign(y=target)).fit(), None, []),
        ("series", api.tsa.ARIMA(np.arange(20.0), order=(1, 0, 0)).fit(), None, []),
    ):
        model = loaded(tmp_path / name, "statsmodels", result, signature=signature)
        assert names(model) == told, name
        if name != "series":
            turned = model.predict(rows[["b", "a"]]).tolist() != model.predict(rows).tolist()
            assert turned == (told != [])


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_gradient_boosting_on_categories_is_told_that_json_has_none(tmp_path, library):
    module = pytest.importorskip(library)
    rows = pd.DataFrame({"kind": pd.Categorical([20, 10, 30] * 40), "size": np.arange(120.0)})
    make = {
        "lightgbm": lambda: module.LGBMRegressor(n_estimators=5, verbose=-1),
        "xgboost": lambda: module.XGBRegressor(n_estimators=5, enable_categorical=True),
    }[library]
    for name, columns in (("categories", ["kind", "size"]), ("plain", ["size"])):
        fitted = make().fit(rows[columns], rows["size"])
        model = loaded(tmp_path / name, library, fitted)
        assert ("pandas-categories" in names(model)) == (name == "categories")
        assert ("by-position" in names(model)) == (library == "lightgbm")


def test_of_an_exported_torch_graph_fixed_rows_and_training_mode_are_told(tmp_path):
    torch = pytest.importorskip("torch")
    for name, rows, told in (
        ("one row", 1, ["float32", "pt2-rows"]),
        ("training", 4, ["float32", "pt2-training"]),
        ("good", 4, ["float32"]),
    ):
        net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.5))
        net.train(name == "training")
        example = np.ones((rows, 3), dtype="float32")
        model = loaded(tmp_path / name, "pytorch", net, input_example=example)
        assert names(model) == told


def test_each_has_its_row_in_the_page_of_differences_and_no_row_has_lost_its_caveat():
    section = DIFFERENCES.read_text().split("## Surprises")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \|(.*)$", section, re.MULTILINE))
    assert list(rows) == [caveat.name for caveat in CAVEATS]
    for caveat in CAVEATS:
        assert f"`{caveat.source.split(',')[0]}`" in rows[caveat.name], caveat.name
        assert ("| refused" in rows[caveat.name]) == caveat.is_refused_by_strict, caveat.name
    assert MLFLOW in section
