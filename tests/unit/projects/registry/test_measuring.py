"""What is measured, which way is better, and what a model is given to predict."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression

from common.promotion import CannotCompareError
from evaluations import inputs, labels
from listing import columns
from measuring import kind_of_labels


def saved(folder, model, rows, answers):
    model.fit(rows, answers)
    signature = infer_signature(rows, pd.Series(model.predict(rows)))
    mlflow.sklearn.save_model(model, folder, signature=signature, pip_requirements=["scikit-learn"])
    return mlflow.pyfunc.load_model(str(folder))


def test_a_model_gets_its_own_columns_as_it_takes_them(tmp_path):
    rows = pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": [1.0, 2.0, 5.0]})
    model = saved(tmp_path / "m", LinearRegression(), rows, [1.0, 2.0, 3.0])
    file = pd.DataFrame({"extra": ["x"], "b": [1], "a": [2]})

    frame = inputs(model, file, "1")

    assert list(frame.columns) == ["a", "b"]
    assert set(frame.dtypes) == {np.dtype("float64")}
    assert len(model.predict(frame)) == 1
    with pytest.raises(CannotCompareError, match=r"^version 1 takes a column 'a', which the data"):
        inputs(model, file.drop(columns="a"), "1")


def test_numbers_in_a_file_may_be_names(tmp_path):
    rows = pd.DataFrame({"a": np.arange(6.0)})
    named = saved(tmp_path / "m", LogisticRegression(), rows, list("000111"))

    assert labels(named, pd.Series([0, 1])).tolist() == ["0", "1"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "classifier"),
        ([True, False], "classifier"),
        ([0, 1, 2], "classifier"),
        ([0.0, 1.0], "classifier"),
        ([0.5, 1.0], "regressor"),
        (range(100), "regressor"),
    ],
)
def test_labels_tell_what_predicts_them(values, kind):
    assert kind_of_labels(pd.Series(list(values))) == kind


def test_columns_are_aligned_and_bounded():
    text = columns([["name", "what"], ["a", "x" * 100], ["bcdefg", ""]])

    assert text.splitlines() == ["name    what", f"a       {'x' * 57}...", "bcdefg"]
