#!/usr/bin/env bash
# An ONNX regressor with two targets answers a frame of two rows with four.
#
# MLflow 3.17.2 with skl2onnx 1.20.0 and ONNX Runtime 1.32.0.
#
# Expected: one answer a row, with both targets, as for an array.
# Seen:     MLflow flattens each output of the graph into one column of the frame that it returns.
#
#   inputs: 2 answers
#   dataframe_split: 4 answers

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2 onnx==1.23.2 onnxruntime==1.32.0 skl2onnx==1.20.0
run <<'PYTHON'
import sys

import mlflow
import numpy as np
from ask import ask
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression

rows = np.random.default_rng(0).random((50, 2), dtype="float32")
mlflow.onnx.save_model(to_onnx(LinearRegression().fit(rows, rows * 2), rows[:1]), "model")
given = rows[:2].tolist()
answers = {
    "inputs": len(ask("model", {"inputs": given})["variable"]),
    "dataframe_split": len(ask("model", {"dataframe_split": {"columns": ["a", "b"], "data": given}})),
}
for form, count in answers.items():
    print(f"{form}: {count} answers")
sys.exit(answers != {"inputs": 2, "dataframe_split": 4})
PYTHON
