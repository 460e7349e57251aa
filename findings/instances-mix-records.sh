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


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input.to_numpy().tolist()


from mlflow.types import ColSpec, Schema

signature = mlflow.models.ModelSignature(Schema([ColSpec("double", "a"), ColSpec("double", "b")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
records = [{"a": 1.0, "b": 2.0}, {"a": 3.0}, {"b": 4.0}]
seen = ask("model", {"instances": records})
print(f"given: {records}")
print(f"rows that the model sees: {seen}")
sys.exit(seen != [[1.0, 2.0], [3.0, 4.0]])
PYTHON
