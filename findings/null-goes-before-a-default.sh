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

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  mlflow==3.17.2 pandas==3.1.1 numpy==2.4.6 scikit-learn==1.9.1
cd "$folder"
export MLFLOW_DISABLE_TELEMETRY=true PYTHONWARNINGS=ignore
"$folder/venv/bin/python" - 2>errors <<'PYTHON' || { cat errors >&2; exit 1; }
import json
import sys

import mlflow
from mlflow.models import ModelSignature
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema


def ask(folder, body, kind="application/json"):
    """What `mlflow models serve` answers, by the function that it answers with."""
    model = mlflow.pyfunc.load_model(folder)
    schema = model.metadata.get_input_schema()
    try:
        answer = scoring_server.invocations(body, kind, model, schema)
    except mlflow.MlflowException:
        return "refused"
    return json.loads(answer.response)["predictions"]


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
    return ask("model", json.dumps({"dataframe_split": split, "params": params}))


seen = {
    "left out": given({}),
    '"warm"': given({"temperature": "warm"}),
    "null": given({"temperature": None}),
}
for name, value in seen.items():
    print(f"{name}: {value}")
sys.exit(list(seen.values()) != [[0.5], "refused", [None]])
PYTHON
