#!/usr/bin/env bash
# The date 9999-12-31, in many tables the one of what has no end, is 1816 to the model.
#
# MLflow 3.17.2 with NumPy 2.4.6, a signature with a column of datetimes.
#
# Expected: refused, as in dataframe_split, where the answer is 400 (out of bounds).
# Seen:     in `inputs`, 200: numpy converts the text to nanoseconds in 64 bits, which wrap around.
#
#   dataframe_split: refused
#   inputs: 1816

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
from mlflow.pyfunc import scoring_server


def ask(folder, body):
    """What `mlflow models serve` answers, by the function that it answers with."""
    model = mlflow.pyfunc.load_model(folder)
    schema = model.metadata.get_input_schema()
    answer = scoring_server.invocations(json.dumps(body), "application/json", model, schema)
    return json.loads(answer.response)["predictions"]


class Year(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [int(when.year) for when in model_input["until"]]


from mlflow.types import ColSpec, Schema

signature = mlflow.models.ModelSignature(Schema([ColSpec("datetime", "until")]))
mlflow.pyfunc.save_model("model", python_model=Year(), signature=signature)
until = "9999-12-31"
try:
    split = ask("model", {"dataframe_split": {"columns": ["until"], "data": [[until]]}})[0]
except mlflow.MlflowException:
    split = "refused"
inputs = ask("model", {"inputs": {"until": [until]}})[0]
print(f"dataframe_split: {split}")
print(f"inputs: {inputs}")
sys.exit((split, inputs) != ("refused", 1816))
PYTHON
