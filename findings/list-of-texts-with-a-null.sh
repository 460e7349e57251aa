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

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from ask import ask
from mlflow.types import ColSpec, Schema
from mlflow.types.schema import Array


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [list(texts) for texts in model_input["tags"]]


signature = mlflow.models.ModelSignature(Schema([ColSpec(Array("string"), "tags")]))
mlflow.pyfunc.save_model("model", python_model=Echo(), signature=signature)
seen = []
for tags in (["apple", "pear"], ["apple", None]):
    seen += ask("model", {"dataframe_records": [{"tags": tags}]})
    print(f"{tags} arrives as {seen[-1]}")
sys.exit(seen != [["apple", "pear"], ["a", "n"]])
PYTHON
