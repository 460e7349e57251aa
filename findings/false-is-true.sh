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

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from ask import ask
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [bool(value) for value in model_input["smoker"]]


signature = ModelSignature(Schema([ColSpec("boolean", "smoker")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
split = {"dataframe_split": {"columns": ["smoker"], "data": [["false"]]}}
seen = {
    "dataframe_split": ask("model", split),
    "inputs": ask("model", {"inputs": {"smoker": ["false"]}}),
    "CSV": ask("model", "smoker\nfalse\n", "text/csv"),
}
for name, (value,) in seen.items():
    print(f"{name}: {str(value).lower()}")
sys.exit(list(seen.values()) != [[True], [True], [False]])
PYTHON
