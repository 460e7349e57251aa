#!/usr/bin/env bash
# A model with a column of dates takes no CSV at all.
#
# MLflow 3.17.2 with pandas 3.1.1, a signature of a number and a datetime.
#
# Expected: 2024-01-02 in CSV is read as it is in `dataframe_split`.
# Seen:     a 400 that says that the input is no valid CSV: MLflow gives pandas' read_csv the type of
#           the column, datetime64, which read_csv takes for no column.
#
#   dataframe_split: ['2024-01-02']
#   CSV: refused

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


class Day(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [str(when.date()) for when in model_input["day"]]


signature = ModelSignature(Schema([ColSpec("double", "price"), ColSpec("datetime", "day")]))
mlflow.pyfunc.save_model("model", python_model=Day(), signature=signature)
split = {"columns": ["price", "day"], "data": [[1.5, "2024-01-02"]]}
frame = ask("model", json.dumps({"dataframe_split": split}))
table = ask("model", "price,day\n1.5,2024-01-02\n", "text/csv")
print(f"dataframe_split: {frame}")
print(f"CSV: {table}")
sys.exit((frame, table) != (["2024-01-02"], "refused"))
PYTHON
