#!/usr/bin/env bash
# Records of `instances` that lack a value take one another's.
#
# MLflow 3.17.2, a signature of two columns that are both required.
#
# Expected: the second record is refused, as it lacks "b"; or three answers, one for each record.
# Seen:     200 with two answers, the second made of 3 from the second record and 4 from the third:
#           MLflow gathers each column's values, and compares only how many there are.
#
#   given: [{'a': 1.0, 'b': 2.0}, {'a': 3.0}, {'b': 4.0}]
#   rows that the model sees: [[1.0, 2.0], [3.0, 4.0]]

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from ask import ask
from mlflow.types import ColSpec, Schema


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input.to_numpy().tolist()


signature = mlflow.models.ModelSignature(Schema([ColSpec("double", "a"), ColSpec("double", "b")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
records = [{"a": 1.0, "b": 2.0}, {"a": 3.0}, {"b": 4.0}]
seen = ask("model", {"instances": records})
print(f"given: {records}")
print(f"rows that the model sees: {seen}")
sys.exit(seen != [[1.0, 2.0], [3.0, 4.0]])
PYTHON
