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
        return [int(value) for value in model_input["visits"]]


signature = ModelSignature(Schema([ColSpec("integer", "visits")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
inputs = ask("model", {"inputs": {"visits": [2147483648]}})
split = {"columns": ["visits"], "data": [[2147483648]]}
frame = ask("model", {"dataframe_split": split})
print(f"inputs: {inputs}")
print(f"dataframe_split: {frame}")
sys.exit((inputs, frame) != ("refused", [-2147483648]))
PYTHON
