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


signature = ModelSignature(Schema([ColSpec("datetime", "day")]))
mlflow.pyfunc.save_model("model", python_model=Day(), signature=signature)


def last(*days):
    split = {"columns": ["day"], "data": [[day] for day in days]}
    return ask("model", {"dataframe_split": split})[-1]


alone = last("01/02/2024")
after = last("13/02/2024", "01/02/2024")
print(f"alone: {alone}")
print(f"after 13/02/2024: {after}")
sys.exit((alone, after) != ("2024-01-02", "2024-02-01"))
PYTHON
