"""What a model is given of rows."""

import numpy as np
import pandas as pd
import pytest
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from mlflow.types import ColSpec, Schema

from model_server.scoring.table import Table

NAMES = pd.Index(["a", "b", "c"])


def test_float32_lies_in_memory_as_in_mlflows_frames():
    """Else products of it are rounded in another way: the same row got 42.253307 for 42.253304."""
    rows = np.random.default_rng(0).normal(size=(75, 3))
    body = {"dataframe_split": {"columns": list(NAMES), "data": rows.tolist()}}
    schema = Schema([ColSpec("float", name) for name in NAMES])
    theirs = _enforce_schema(infer_and_parse_data(body, schema), schema).to_numpy()
    ours = Table(NAMES, block=rows.astype(np.float32)).frame().to_numpy()
    assert ours.flags.f_contiguous == theirs.flags.f_contiguous
    weights = np.float32([0.1, 0.7, 1.3])
    np.testing.assert_array_equal(ours @ weights, theirs @ weights)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensor_is_given_as_it_came(dtype):
    block = np.ones((75, 3), dtype)
    assert Table((), block=block, is_tensor=True).frame() is block
