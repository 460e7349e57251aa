#!/usr/bin/env bash
# A LightGBM model trained on a category column takes the category 20 for the one at position 20.
#
# MLflow 3.17.2 with LightGBM 4.7.0 and pandas 3.1.1, without a signature.
#
# Expected: a frame and an array with the same numbers get the same answers, or both are refused.
# Seen:     JSON has no categories, so that every frame is refused; `inputs` with the very same numbers
#           gets a 200, in which they are taken for positions among the categories: unknown ones.
#
#   in Python: [5.0, 0.0]
#   dataframe_split: refused
#   inputs: [0.0, 0.0]

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  mlflow==3.17.2 pandas==3.1.1 numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0
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


import lightgbm
import pandas as pd

kinds = pd.DataFrame({"kind": pd.Categorical([20, 10, 30] * 100)})
target = (kinds["kind"] == 20) * 5.0
model = lightgbm.LGBMRegressor(n_estimators=200, verbose=-1, min_data_per_group=1, cat_smooth=0)
model.fit(kinds, target)
mlflow.lightgbm.save_model(model, "model")


def rounded(numbers):
    return [round(float(number)) + 0.0 for number in numbers]


given = [[20], [10]]
python = rounded(model.predict(kinds[:2]))
try:
    split = rounded(ask("model", {"dataframe_split": {"columns": ["kind"], "data": given}}))
except mlflow.MlflowException:
    split = "refused"
inputs = rounded(ask("model", {"inputs": given}))
print(f"in Python: {python}")
print(f"dataframe_split: {split}")
print(f"inputs: {inputs}")
sys.exit((python, split) != ([5.0, 0.0], "refused") or inputs == python)
PYTHON
