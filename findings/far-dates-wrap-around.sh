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

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from ask import ask
from mlflow.types import ColSpec, Schema


class Year(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [int(when.year) for when in model_input["until"]]


signature = mlflow.models.ModelSignature(Schema([ColSpec("datetime", "until")]))
mlflow.pyfunc.save_model("model", python_model=Year(), signature=signature)
until = "9999-12-31"
split = ask("model", {"dataframe_split": {"columns": ["until"], "data": [[until]]}})
inputs = ask("model", {"inputs": {"until": [until]}})[0]
print(f"dataframe_split: {split}")
print(f"inputs: {inputs}")
sys.exit((split, inputs) != ("refused", 1816))
PYTHON
