"""A model of a user's own: a table in, a table out, with params and a file beside it."""

import json
from pathlib import Path

import mlflow
import pandas as pd


class Prices(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.prices = json.loads(Path(context.artifacts["prices"]).read_text())

    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002
        params = params or {}
        price = model_input["kind"].map(self.prices).fillna(0.0)
        total = price * model_input["bottles"] * (1 - params.get("discount", 0.0))
        return pd.DataFrame(
            {"total": total, "big": total > 20, "kind": model_input["kind"].str.upper()}
        )


mlflow.models.set_model(Prices())
