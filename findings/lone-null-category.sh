#!/usr/bin/env bash
# What a row with a null category is answered depends on the rows beside it in its request.
#
# MLflow 3.17.2 with pandas 3.1.1 and scikit-learn 1.9.1: a pipeline of SimpleImputer and
# OneHotEncoder, fitted on a column of texts with nulls, with the signature that MLflow infers.
#
# Expected: the null is imputed as in training, 'a', and answered alike in every request.
# Seen:     alone it is not imputed, and answered with another number. pandas 3 makes a column of str,
#           with NaN, where a text stands beside the null, and one of object, with None, where none
#           does; SimpleImputer looks for NaN.
#
#   beside another row: 0.0
#   alone: 5.0

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


import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

rows = pd.DataFrame({"kind": ["a", "a", "a", "b", None] * 10})
encoded = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
)
model = make_pipeline(make_column_transformer((encoded, ["kind"])), LinearRegression())
model.fit(rows, (rows.kind == "b") * 10.0)
signature = mlflow.models.infer_signature(rows, model.predict(rows))
mlflow.sklearn.save_model(
    model, "model", signature=signature, serialization_format="cloudpickle"
)


def first(*kinds):
    body = {"dataframe_split": {"columns": ["kind"], "data": [[kind] for kind in kinds]}}
    return round(ask("model", body)[0], 6) + 0.0


beside, alone = first(None, "a"), first(None)
print(f"beside another row: {beside}")
print(f"alone: {alone}")
sys.exit((beside, alone) != (0.0, 5.0))
PYTHON
