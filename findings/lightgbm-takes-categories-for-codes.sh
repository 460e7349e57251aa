#!/usr/bin/env bash
# A LightGBM model trained on a category column takes the category 20 for the one at position 20.
#
# MLflow 3.17.2 with LightGBM 4.7.0 and pandas 3.1.1, without a signature.
#
# Expected: a frame and an array with the same numbers get the same answers, or both are refused.
# Seen:     JSON has no categories, so that every frame is refused; `inputs` with the very same numbers
#           gets a 200, in which they are taken for positions among the categories: unknown ones.
#
#   in Python: [5.0, 0.0]
#   dataframe_split: refused
#   inputs: [0.0, 0.0]

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2 lightgbm==4.7.0
run <<'PYTHON'
import sys

import lightgbm
import mlflow
import pandas as pd
from ask import ask

kinds = pd.DataFrame({"kind": pd.Categorical([20, 10, 30] * 100)})
target = (kinds["kind"] == 20) * 5.0
model = lightgbm.LGBMRegressor(n_estimators=200, verbose=-1, min_data_per_group=1, cat_smooth=0)
model.fit(kinds, target)
mlflow.lightgbm.save_model(model, "model")


def rounded(numbers):
    return [round(float(number)) + 0.0 for number in numbers]


given = [[20], [10]]
python = rounded(model.predict(kinds[:2]))
split = ask("model", {"dataframe_split": {"columns": ["kind"], "data": given}})
inputs = rounded(ask("model", {"inputs": given}))
print(f"in Python: {python}")
print(f"dataframe_split: {split}")
print(f"inputs: {inputs}")
sys.exit((python, split) != ([5.0, 0.0], "refused") or inputs == python)
PYTHON
