#!/usr/bin/env bash
# A null in a list of texts cuts the texts beside it to their first letter.
#
# MLflow 3.17.2 with pandas 3.1.1, a signature with a column of lists of texts.
#
# Expected: the model is given ['apple', None], or the request is refused.
# Seen:     the model is given ['a', 'n'], 200 all the same. MLflow makes a Series of the list, which
#           pandas 3 holds in its own type of strings, and converts it to numpy's str, a type without
#           a length, which then is one of one character; the n is of nan.
#
#   ['apple', 'pear'] arrives as ['apple', 'pear']
#   ['apple', None] arrives as ['a', 'n']

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
        return [list(texts) for texts in model_input["tags"]]


from mlflow.types import ColSpec, Schema
from mlflow.types.schema import Array

signature = mlflow.models.ModelSignature(Schema([ColSpec(Array("string"), "tags")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
seen = []
for tags in (["apple", "pear"], ["apple", None]):
    seen += ask("model", {"dataframe_records": [{"tags": tags}]})
    print(f"{tags} arrives as {seen[-1]}")
sys.exit(seen != [["apple", "pear"], ["a", "n"]])
PYTHON
