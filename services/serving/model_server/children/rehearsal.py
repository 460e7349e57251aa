"""What every worker will do, done once before any is forked, on a model made up here.

Python, pandas and Arrow set things up at their first use. Set up before the fork, that memory is
shared too: a worker's own shrinks by a third.
"""

import tempfile
import warnings
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import skops.io
import yaml
from mlflow.models import Model, infer_signature
from mlflow.pyfunc import PyFuncModel
from mlflow.sklearn import _SklearnModelWrapper
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_server.processes.wire import Request
from model_server.scoring.scorer import Scorer


def rehearse() -> None:
    """Read, score and write a few rows."""
    rows = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "b", "c"])
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, ["x", "x", "y", "y"])
    fitted = skops.io.loads(skops.io.dumps(fitted))
    description = Model(
        flavors={"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": {}},
        signature=infer_signature(rows, fitted.predict(rows)),
    )
    yaml.safe_load(description.to_yaml())
    model = PyFuncModel(model_meta=description, model_impl=_SklearnModelWrapper(fitted))
    body = msgspec.json.encode({"dataframe_split": rows.to_dict("split", index=False)})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorer = Scorer(model, Path(folder))
        for request in (body, body.replace(b"0.0", b'"0"')):
            list(scorer.replies([Request(1, "rehearsal", "application/json", request, 1e18)]))
