#!/usr/bin/env bash
# The date 01/02/2024 is the first of February or the second of January, by the row before it.
#
# MLflow 3.17.2 with pandas 3.1.1, a signature with a column of datetimes, `dataframe_split`.
#
# Expected: a row is read alike in every request, or such dates are refused.
# Seen:     200 with another day. MLflow has pandas infer one format from the first value of the
#           request, and 13/02/2024 can only begin with the day.
#
#   alone: 2024-01-02
#   after 13/02/2024: 2024-02-01

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


signature = ModelSignature(Schema([ColSpec("datetime", "day")]))
mlflow.pyfunc.save_model("model", python_model=Day(), signature=signature)


def last(*days):
    split = {"columns": ["day"], "data": [[day] for day in days]}
    return ask("model", json.dumps({"dataframe_split": split}))[-1]


alone = last("01/02/2024")
after = last("13/02/2024", "01/02/2024")
print(f"alone: {alone}")
print(f"after 13/02/2024: {after}")
sys.exit((alone, after) != ("2024-01-02", "2024-02-01"))
PYTHON
