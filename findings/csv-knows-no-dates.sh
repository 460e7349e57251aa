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

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from ask import ask
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema


class Day(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [str(when.date()) for when in model_input["day"]]


signature = ModelSignature(Schema([ColSpec("double", "price"), ColSpec("datetime", "day")]))
mlflow.pyfunc.save_model("model", python_model=Day(), signature=signature)
split = {"columns": ["price", "day"], "data": [[1.5, "2024-01-02"]]}
frame = ask("model", {"dataframe_split": split})
table = ask("model", "price,day\n1.5,2024-01-02\n", "text/csv")
print(f"dataframe_split: {frame}")
print(f"CSV: {table}")
sys.exit((frame, table) != (["2024-01-02"], "refused"))
PYTHON
