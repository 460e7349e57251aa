#!/usr/bin/env bash
# A null param goes to the model in place of the param's default.
#
# MLflow 3.17.2, a signature with the param temperature, a double, by default 0.5. Clients made from an
# OpenAPI document, and those of many languages, send null for what was not set.
#
# Expected: 0.5, or a refusal, since null is no double: "warm" is refused.
# Seen:     200, and the model computes with None.
#
#   left out: [0.5]
#   "warm": refused
#   null: [None]

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from ask import ask
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [params["temperature"]]


signature = ModelSignature(
    Schema([ColSpec("double", "price")]),
    params=ParamSchema([ParamSpec("temperature", DataType.double, 0.5)]),
)
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)


def given(params):
    split = {"columns": ["price"], "data": [[1.0]]}
    return ask("model", {"dataframe_split": split, "params": params})


seen = {
    "left out": given({}),
    '"warm"': given({"temperature": "warm"}),
    "null": given({"temperature": None}),
}
for name, value in seen.items():
    print(f"{name}: {value}")
sys.exit(list(seen.values()) != [[0.5], "refused", [None]])
PYTHON
