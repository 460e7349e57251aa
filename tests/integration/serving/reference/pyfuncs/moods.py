"""A model from code that answers, or fails, as its one column says."""

import datetime
import decimal

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode
from scipy.sparse import csr_matrix

FRAME = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", None], "d": [True, False]})
RETURNS = {
    "frame": FRAME,
    "frame with dates": pd.DataFrame({"at": pd.to_datetime(["2024-01-31", None])}),
    "frame, no rows": FRAME.head(0),
    "frame, index": FRAME.set_index("c"),
    "frame, column twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "frame, column levels": pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
    "frame, numbered columns": pd.DataFrame([[1, 2]]),
    "frame of lists": pd.DataFrame({"a": [[1, 2], []], "b": [{"x": 1}, None]}),
    "frame of arrays": pd.DataFrame({"a": [np.arange(2), np.arange(3.0)]}),
    "frame of categories": pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
    "frame of missing integers": pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    "series": pd.Series([1.5, float("nan")]),
    "series, named": pd.Series(["x", "y"], name="label", index=["p", "q"]),
    "array": np.array([[1, 2], [3, 4]]),
    "array of one": np.array(1.5),
    "array of float32": np.array([0.1, 1e30], dtype=np.float32),
    "array of text": np.array(["x", "ä☃"]),
    "array of objects": np.array([1, "x", None, 2.5], dtype=object),
    "array of booleans": np.array([True, False]),
    "array of dates": np.array(["2024-01-31"], dtype="datetime64[s]"),
    "array, empty": np.empty((0, 3)),
    "array, complex": np.array([1 + 2j]),
    "sparse": csr_matrix(np.eye(2)),
    "text": "text",
    "text, odd": '"\\\n\x00\u2028ä☃😀\ud800',
    "texts": ["x", "", None],
    "nested lists": [[1, [2.0, ["3", None]]], []],
    "dict": {"a": 1, "b": [1.5, {"c": None}]},
    "dict of arrays": {"a": np.arange(3), "b": np.float32(0.1)},
    "dict of frames": {"a": FRAME},
    "dict, other keys": {1: "a", None: "b", False: "c", 1.5: "d"},
    "dict, tuple keys": {(1, 2): "a"},
    "list of dicts": [{"a": np.int64(1)}, {"b": np.bool_(True)}],
    "list of arrays": [np.arange(2), np.ones((1, 2))],
    "list of series": [pd.Series([1, 2])],
    "tuple": (1, 2.0),
    "set": {1},
    "nan": float("nan"),
    "infinities": [float("inf"), float("-inf"), np.nan, -0.0],
    "none": None,
    "true": True,
    "integer": 7,
    "whole float": 7.0,
    "huge integer": 10**30,
    "tiny float": 5e-324,
    "numpy integer": np.int32(7),
    "numpy float": np.float32(0.1),
    "numpy double": np.float64(0.1),
    "numpy boolean": np.bool_(True),
    "numpy text": np.str_("x"),
    "numpy date": np.datetime64("2024-01-31"),
    "date": datetime.date(2024, 1, 31),
    "timestamp": pd.Timestamp("2024-01-31T12:00:00Z"),
    "time delta": datetime.timedelta(seconds=1),
    "bytes": b"\x00\xff",
    "decimal": decimal.Decimal("1.5"),
    "not a time": pd.NaT,
    "missing": pd.NA,
    "object": object(),
    "class": dict,
}
RAISES = {
    "value error": (ValueError, "secret"),
    "key error": (KeyError, "secret"),
    "type error": (TypeError, "secret"),
    "memory error": (MemoryError,),
    "recursion": (RecursionError,),
    "end of iteration": (StopIteration,),
    "long message": (ValueError, "x" * 10_000),
    "no code": (MlflowException, "secret"),
}
CODES = (
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "NOT_IMPLEMENTED",
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "NOT_FOUND",
    "CANCELLED",
    "no such code",
)
ALL = (*RETURNS, *RAISES, *CODES)


class Moods(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):  # noqa: ARG002
        mood = model_input["mood"].iloc[0]
        if mood in RAISES:
            error, *arguments = RAISES[mood]
            raise error(*arguments)
        if mood in CODES:
            code = ErrorCode.Value(mood) if mood != "no such code" else 999_999
            raise MlflowException("secret", error_code=code)
        return RETURNS[mood]


mlflow.models.set_model(Moods())
