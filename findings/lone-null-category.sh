#!/usr/bin/env bash
# What a row with a null category is answered depends on the rows beside it in its request.
#
# MLflow 3.17.2 with pandas 3.1.1 and scikit-learn 1.9.1: a pipeline of SimpleImputer and
# OneHotEncoder, fitted on a column of texts with nulls, with the signature that MLflow infers.
#
# Expected: the null is imputed as in training, 'a', and answered alike in every request.
# Seen:     alone it is not imputed, and answered with another number. pandas 3 makes a column of str,
#           with NaN, where a text stands beside the null, and one of object, with None, where none
#           does; SimpleImputer looks for NaN.
#
#   beside another row: 0.0
#   alone: 5.0

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
import pandas as pd
from ask import ask
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

rows = pd.DataFrame({"kind": ["a", "a", "a", "b", None] * 10})
encoded = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
)
model = make_pipeline(make_column_transformer((encoded, ["kind"])), LinearRegression())
model.fit(rows, (rows.kind == "b") * 10.0)
signature = mlflow.models.infer_signature(rows, model.predict(rows))
mlflow.sklearn.save_model(
    model, "model", signature=signature, serialization_format="cloudpickle"
)


def first(*kinds):
    body = {"dataframe_split": {"columns": ["kind"], "data": [[kind] for kind in kinds]}}
    return round(ask("model", body)[0], 6) + 0.0


beside, alone = first(None, "a"), first(None)
print(f"beside another row: {beside}")
print(f"alone: {alone}")
sys.exit((beside, alone) != (0.0, 5.0))
PYTHON
