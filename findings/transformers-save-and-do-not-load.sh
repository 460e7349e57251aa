#!/usr/bin/env bash
# mlflow.sklearn saves a transformer, told to predict by its transform, and pyfunc cannot load it.
#
# MLflow 3.17.2 with scikit-learn 1.9.1: a fitted StandardScaler, saved as it is, and with
# pyfunc_predict_fn="transform", which is there to name the function that a pyfunc predicts by.
#
# Expected: with it, it is loaded, and predicts by transform; as it is, saving says that there will be no
#           pyfunc.
# Seen:     both are saved without a word. As it is it has no pyfunc flavor; with "transform" it has one
#           that load_model says lacks the method that the scaler has.
#
#   as it is: Model does not have the "python_function" flavor
#   transform: Model implementation is missing required transform method.

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from sklearn.preprocessing import StandardScaler

scaler = StandardScaler().fit([[1.0], [2.0]])
mlflow.sklearn.save_model(scaler, "plain")
mlflow.sklearn.save_model(scaler, "transform", pyfunc_predict_fn="transform")
seen = {}
for name, folder in {"as it is": "plain", "transform": "transform"}.items():
    try:
        seen[name] = mlflow.pyfunc.load_model(folder).predict([[1.0]])
    except mlflow.MlflowException as error:
        seen[name] = error.message
    print(f"{name}: {seen[name]}")
sys.exit(
    list(seen.values())
    != [
        'Model does not have the "python_function" flavor',
        "Model implementation is missing required transform method.",
    ]
)
PYTHON
