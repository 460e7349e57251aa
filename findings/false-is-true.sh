#!/usr/bin/env bash
# The text "false" is true to a model with a column of booleans, but not in CSV.
#
# MLflow 3.17.2, a signature with a column of booleans.
#
# Expected: refused, as other texts are in columns of numbers; or false, as in CSV.
# Seen:     200, and any text but the empty one is true, as for numpy; any number but 0 is, too.
#
#   dataframe_split: true
#   inputs: true
#   CSV: false

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
        return [bool(value) for value in model_input["smoker"]]


signature = ModelSignature(Schema([ColSpec("boolean", "smoker")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
split = {"dataframe_split": {"columns": ["smoker"], "data": [["false"]]}}
seen = {
    "dataframe_split": ask("model", json.dumps(split)),
    "inputs": ask("model", json.dumps({"inputs": {"smoker": ["false"]}})),
    "CSV": ask("model", "smoker\nfalse\n", "text/csv"),
}
for name, (value,) in seen.items():
    print(f"{name}: {str(value).lower()}")
sys.exit(list(seen.values()) != [[True], [True], [False]])
PYTHON
