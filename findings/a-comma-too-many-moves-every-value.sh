#!/usr/bin/env bash
# A comma too many at a row's end gives every column the value of its neighbour.
#
# MLflow 3.17.2 with pandas 3.1.1, a signature of two columns.
#
# Expected: refused, as JSON with three values for two columns is; or the third value is left out.
# Seen:     CSV, 200: pandas' read_csv takes the first value for the row's name and moves the others.
#           A trailing comma, as some spreadsheets write it, is enough.
#
#   dataframe_split: refused
#   CSV: a=160.0, b=nan, of the row 42,160,

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
        return [f"a={a}, b={b}" for a, b in model_input[["a", "b"]].to_numpy()]


signature = ModelSignature(Schema([ColSpec("double", "a"), ColSpec("double", "b")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
split = ask("model", {"dataframe_split": {"columns": ["a", "b"], "data": [[42, 160, None]]}})
csv = ask("model", "a,b\n42,160,\n", "text/csv")
print(f"dataframe_split: {split}")
print(f"CSV: {csv[0]}, of the row 42,160,")
sys.exit((split, csv) != ("refused", ["a=160.0, b=nan"]))
PYTHON
