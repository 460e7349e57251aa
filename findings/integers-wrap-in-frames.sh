#!/usr/bin/env bash
# The number 2147483648 is -2147483648 to a model with a column of integers.
#
# MLflow 3.17.2 with NumPy 2.4.6, a signature with a column of integers.
#
# Expected: refused, as in `inputs`.
# Seen:     `dataframe_split`, 200: MLflow reads the column as int64 and casts it to int32, which
#           wraps around.
#
#   inputs: refused
#   dataframe_split: [-2147483648]

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
from mlflow.types import ColSpec, Schema


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
    def predict(self, context, model_input):
        return [int(value) for value in model_input["visits"]]


signature = ModelSignature(Schema([ColSpec("integer", "visits")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
inputs = ask("model", json.dumps({"inputs": {"visits": [2147483648]}}))
split = {"columns": ["visits"], "data": [[2147483648]]}
frame = ask("model", json.dumps({"dataframe_split": split}))
print(f"inputs: {inputs}")
print(f"dataframe_split: {frame}")
sys.exit((inputs, frame) != ("refused", [-2147483648]))
PYTHON
