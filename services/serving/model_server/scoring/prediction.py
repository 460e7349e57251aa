"""Predictions on rows that conform to the signature already."""

import inspect
from collections.abc import Callable

from mlflow.pyfunc import PyFuncModel

from model_server.scoring.call import Params
from model_server.scoring.table import Table

PredictRows = Callable[[Table], object]
TOLERANCE = 1e-12
"""Difference of floats, relative and absolute; anything else is equal or not."""

_PLAIN = {"mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm", "mlflow.onnx"}
"""Loaders whose models see nothing of the context that PyFuncModel.predict sets."""


class Predictor:
    """Predicts as `PyFuncModel.predict`, without its second check of the rows against the signature
    where the kind of model allows that."""

    def __init__(self, model: PyFuncModel) -> None:
        self._call: Callable[..., object] = model.predict
        self._takes_params = True
        # Of MLflow's own; test_scorer.py holds it against PyFuncModel.predict.
        implementation = getattr(model, "_predict_fn", None)
        if implementation is None or model.loader_module not in _PLAIN:
            return
        params = inspect.signature(implementation).parameters.get("params")
        self._call = implementation
        self._takes_params = params is not None and params.kind != inspect.Parameter.VAR_KEYWORD

    def __call__(self, table: Table, params: Params | None = None) -> object:
        """What the model returns for the rows. Raises what it raises."""
        if self._takes_params:
            return self._call(table.frame(), params=params)
        return self._call(table.frame())
