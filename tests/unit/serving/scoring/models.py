"""Models as a worker has them after loading, made in memory, and requests for them."""

import json
import time
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.utils import SERVING_INPUT_FILENAME
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, ParamSchema, Schema

from model_server.processes.wire import Request

JSON = "application/json"


class Function:
    """A model that is a function of its data."""

    def __init__(self, function) -> None:
        self._function = function

    def predict(self, data, params=None):  # noqa: ARG002
        return self._function(data)


class Recorder:
    """A model that keeps what it is given."""

    def predict(self, data, params=None):
        self.sent = data, params
        return [0] * len(data)


def signed(
    implementation: object,
    inputs: Schema | None,
    loader: str = "tests",
    params: ParamSchema | None = None,
    predict_fn: str = "predict",
) -> PyFuncModel:
    metadata = Model(signature=inputs and ModelSignature(inputs=inputs, params=params))
    metadata.add_flavor("python_function", loader_module=loader, predict_fn=predict_fn)
    return PyFuncModel(metadata, implementation, predict_fn)


def recorded(
    inputs: Schema | None, params: ParamSchema | None = None, loader: str = "tests"
) -> PyFuncModel:
    return signed(Recorder(), inputs, loader, params)


def of_function(function, inputs: Schema) -> PyFuncModel:
    return signed(Function(function), inputs)


def of_sklearn(
    estimator: object, inputs: Schema | None, predict_fn: str = "predict"
) -> PyFuncModel:
    wrapper = mlflow.sklearn._SklearnModelWrapper(estimator)
    return signed(wrapper, inputs, "mlflow.sklearn", predict_fn=predict_fn)


def doubles(*names: str) -> Schema:
    return Schema([ColSpec("double", name) for name in names])


def split(frame: pd.DataFrame) -> dict:
    """The rows as JSON has them: NaN is null."""
    values = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return {"dataframe_split": {"columns": list(frame.columns), "data": values}}


def request(body: object, number: int = 0, **more: object) -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content_type": JSON, "deadline": time.monotonic() + 60, **more}
    return Request(number, f"id-{number}", body=content, **fields)


def with_example(folder: Path, body: object) -> Path:
    (folder / SERVING_INPUT_FILENAME).write_text(json.dumps(body))
    return folder


def predictions(body: bytes) -> object:
    return json.loads(body)["predictions"]


def rows(count: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (count, columns))
