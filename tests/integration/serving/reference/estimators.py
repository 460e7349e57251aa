"""Models of scikit-learn and ONNX: rows are independent, so the server may merge requests."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.integration.serving.reference import variations as make
from tests.integration.serving.reference.model import Model
from tests.integration.serving.reference.variations import Requests


def _saved(
    fit: Callable[[], object],
    example: Callable[[], object],
    signature: Callable[[], ModelSignature | None] = lambda: None,
    **further: object,
) -> Callable[[Path], None]:
    """Saves an example too: on it the server proves that it may merge, or take a faster way."""

    def save(folder: Path) -> None:
        mlflow.sklearn.save_model(
            fit(),
            folder,
            input_example=example(),
            signature=signature(),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
            **further,
        )

    return save


def _inputs(*columns: ColSpec | TensorSpec) -> Callable[[], ModelSignature]:
    return lambda: ModelSignature(Schema(list(columns)))


# Wine: four numbers.

WINE, CULTIVAR = load_wine(return_X_y=True, as_frame=True)
WINE = WINE.iloc[:, :4]
NUMBERS = WINE.iloc[:3].to_numpy()


def _scattered(rows: list[make.Row]) -> Requests:
    """Known rows with their numbers moved a little, a lot, and out of all proportion."""
    random = np.random.default_rng(0)

    def moved(value: object, by: float) -> object:
        if isinstance(value, bool) or not isinstance(value, float):
            return value
        return value * (1 + by * random.normal())

    return {
        f"{name}, moved by {by:g}": form(
            [{column: moved(value, by) for column, value in row.items()} for row in rows]
        )
        for name, form in (("split", make.split), ("inputs", make.inputs))
        for by in (0.0, 0.1, 2.0, 1e6, 1e30)
    }


def _wine_requests(formats: tuple[str, ...] = ("split",)) -> Requests:
    rows = WINE.iloc[[0, 60, 150]]
    return make.shapes(rows.to_dict("records")) | {
        **_scattered(WINE.to_dict("records")),
        "parquet": make.parquet(rows),
        "parquet, no rows": make.parquet(rows.head(0)),
        "parquet, float32": make.parquet(rows.astype("float32")),
        "parquet, text": make.parquet(rows.astype("str")),
        "parquet, column missing": make.parquet(rows.iloc[:, 1:]),
        **make.values(rows.to_dict("records"), ["ash"], formats),
    }


def _wine(
    estimator: object,
    kind: str = "double",
    labels: Callable[[pd.Series], pd.Series] = lambda cultivar: cultivar,
    **further: object,
) -> Model:
    return Model(
        _saved(
            lambda: estimator.fit(WINE, labels(CULTIVAR)),
            lambda: WINE.head(3).astype("float32" if kind == "float" else "float64"),
            _inputs(*(ColSpec(kind, name) for name in WINE)),
            **further,
        ),
        _wine_requests,
    )


def _bare(signature: Callable[[], ModelSignature | None]) -> Model:
    """Fitted on the numbers without their names."""
    return Model(
        _saved(
            lambda: LogisticRegression(max_iter=5000).fit(WINE.to_numpy(), CULTIVAR),
            lambda: NUMBERS,
            signature,
        ),
        lambda: (
            _wine_requests()
            | make.prefixed("rows", make.tensors(NUMBERS.tolist(), NUMBERS.tolist()[0][1]))
        ),
    )


def _scaled() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression())


def _forest() -> object:
    return RandomForestClassifier(5, random_state=0)


# People: columns of every kind, some of them optional.


@functools.cache
def _people() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, 80),
            "income": random.normal(50, 20, 80),
            "city": random.choice(["Paris", "Oslo", "Rome"], 80),
            "member": random.random(80) < 0.5,
            "height": random.normal(170, 10, 80),
            "note": random.choice(["x", "y"], 80),
        }
    )
    frame.loc[::7, "height"] = None
    frame.loc[::5, "note"] = None
    return frame, np.where(frame["income"] > 50, "rich", "poor")


def _people_rows() -> list[make.Row]:
    rows = _people()[0].iloc[[1, 2, 3]].to_dict("records")
    return [rows[0], rows[1] | {"height": None, "note": None}, rows[2]]


def _pipeline() -> object:
    columns = make_column_transformer(
        (StandardScaler(), ["age", "income"]),
        (OneHotEncoder(handle_unknown="ignore"), ["city", "note"]),
        ("passthrough", ["member"]),
        (SimpleImputer(), ["height"]),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(*_people())


def _pipeline_requests() -> Requests:
    rows = _people_rows()
    known = _people()[0].dropna().to_dict("records")
    return make.shapes(rows) | make.values(rows, rows[0], ["split"]) | _scattered(known)


MEASURES = ["income", "height"]


def _boosted() -> object:
    data = _people()[0]
    return HistGradientBoostingRegressor(max_iter=5).fit(data[MEASURES], data["income"])


def _boosted_requests() -> Requests:
    rows = [{name: row[name] for name in MEASURES} for row in _people_rows()]
    known = _people()[0][MEASURES].dropna().to_dict("records")
    return make.shapes(rows) | make.values(rows, MEASURES, make.FORMATS) | _scattered(known)


# Others.


def _two_targets() -> object:
    data, target = load_diabetes(return_X_y=True)
    return LinearRegression().fit(data[:, :4], np.column_stack([target, target * 2]))


def _diabetes() -> np.ndarray:
    return load_diabetes().data[:3, :4]


def _text() -> object:
    texts = ["good wine", "bad wine", "good", "bad beer"]
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])


def _save_onnx(folder: Path) -> None:
    """Softmax of x·w, and x·w itself."""
    number = onnx.TensorProto.FLOAT
    weights = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["x", "w"], ["logits"]),
            onnx.helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "softmax",
        [onnx.helper.make_tensor_value_info("x", number, [None, 4])],
        [
            onnx.helper.make_tensor_value_info(name, number, [None, 3])
            for name in ("probabilities", "logits")
        ],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = onnx.helper.make_opsetid("", 17)
    example = {"x": NUMBERS.astype(np.float32)}
    mlflow.onnx.save_model(
        onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10),
        folder,
        input_example=example,
        signature=infer_signature(example),
        pip_requirements=["onnxruntime"],
    )


ESTIMATORS = {
    "wine": Model(_wine(_scaled()).save, lambda: _wine_requests(tuple(make.FORMATS))),
    "wine-tensor": _bare(_inputs(TensorSpec(np.dtype("float64"), (-1, 4)))),
    "wine-unsigned": _bare(lambda: None),
    "wine-forest": _wine(_forest()),
    "wine-float": _wine(_scaled(), "float"),
    "wine-forest-float": _wine(_forest(), "float"),
    "wine-probabilities": _wine(_forest(), pyfunc_predict_fn="predict_proba"),
    "wine-logarithms": _wine(_scaled(), pyfunc_predict_fn="predict_log_proba"),
    "wine-labels": _wine(_scaled(), labels=lambda y: y.map({0: "ä", 1: "b", 2: "☃"})),
    "wine-booleans": _wine(_forest(), labels=lambda y: y == 1),
    "wine-regressor": _wine(RandomForestRegressor(5, random_state=0)),
    "wine-line": _wine(LinearRegression()),
    "wine-clusters": _wine(KMeans(3, n_init=1, random_state=0)),
    "wine-outliers": _wine(IsolationForest(n_estimators=5, random_state=0)),
    "pipeline": Model(
        _saved(
            _pipeline,
            lambda: _people()[0].iloc[[1, 2, 3]],
            _inputs(
                ColSpec("long", "age"),
                ColSpec("double", "income"),
                ColSpec("string", "city"),
                ColSpec("boolean", "member"),
                ColSpec("double", "height", required=False),
                ColSpec("string", "note", required=False),
            ),
        ),
        _pipeline_requests,
    ),
    "boosted": Model(
        _saved(
            _boosted,
            lambda: _people()[0][MEASURES].head(3),
            _inputs(*(ColSpec("double", name, required=False) for name in MEASURES)),
        ),
        _boosted_requests,
    ),
    "two-targets": Model(
        _saved(_two_targets, _diabetes, _inputs(TensorSpec(np.dtype("float64"), (-1, 4)))),
        lambda: make.tensors(_diabetes().tolist(), _diabetes().tolist()[0][1]),
    ),
    "text": Model(_saved(_text, lambda: ["good", "bad"]), make.texts),
    "onnx": Model(
        _save_onnx,
        lambda: (
            make.named_tensors({"x": NUMBERS.tolist()})
            | make.prefixed("rows", make.tensors(NUMBERS.tolist(), NUMBERS.tolist()[0][1]))
        ),
    ),
}
