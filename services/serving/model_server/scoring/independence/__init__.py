"""Whether requests may be merged: where each row is known to be answered from that row alone, or
somebody said so, and then only when predictions one by one and together are equal.

Known is it by structure: of scikit-learn's estimators in `estimators.py`, of the libraries in
`foreign.py`, of ONNX in `graph.py`. The proof on rows at load (`proof.py`) comes on top: it finds
what a release does otherwise than the tables say, and numbers that rounding makes differ.
"""

from __future__ import annotations

import logging
from pathlib import Path

from mlflow.pyfunc import PyFuncModel

from model_server.scoring.batching import Predict
from model_server.scoring.call import Call
from model_server.scoring.independence.proof import difference, same
from model_server.scoring.loading import flavor

__all__ = ["same", "why_not_batched"]

log = logging.getLogger(__name__)

_OF_ESTIMATORS = {"sklearn", "xgboost", "lightgbm", "catboost"}


def why_not_batched(
    model: PyFuncModel, wanted: bool | None, example: Call | None, predict: Predict, folder: Path
) -> str | None:
    """The reason for which requests are predicted one by one; None when they are merged. `folder`
    holds the model's files."""
    if wanted is False:
        return "switched off"
    if wanted is None and (reason := _dependence(model, folder)):
        return reason
    if example is None:
        return "it has no signature, or input example, of rows that can be merged"
    return difference(example.table, lambda table: predict(table, example.params))


def _dependence(model: PyFuncModel, folder: Path) -> str | None:
    """What is known, or not known, by the kind of model."""
    kind = flavor(model)
    flavors = model.metadata.flavors
    if kind == "xgboost" and model.metadata.get_params_schema() is not None:
        return "its params go to XGBoost, where one may have a value for each row (base_margin)"
    try:
        if kind in _OF_ESTIMATORS:
            # Also of a model without scikit-learn in its environment, which another flavor is of.
            from model_server.scoring.independence import estimators

            function = flavors["python_function"].get("predict_fn", "predict")
            return estimators.why_not(model.get_raw_model(), function)
        if kind == "onnx":
            from model_server.scoring.independence import graph

            return graph.why_not(folder / flavors["onnx"].get("data", "model.onnx"))
    except Exception as error:  # an object of another release, a file that is not as expected
        log.warning("rows are not merged", exc_info=True)
        return f"whether its rows are independent cannot be seen: {type(error).__name__}"
    return f"rows of the flavor {kind} need not be independent; serving.batch=on says so"
