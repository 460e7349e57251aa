"""A model from code that answers with all that it was given, to the last type."""

from typing import Any  # noqa: F401 (for the hints that tests put in)

import mlflow
import numpy as np
import pandas as pd
import pydantic


class Message(pydantic.BaseModel):
    role: str
    text: str | None = None
    weight: float = 1.0
    tags: list[str] = []


def described(given):
    match given:
        case pd.DataFrame():
            columns = [
                [str(name), str(column.dtype), [described(value) for value in column]]
                for name, column in given.items()
            ]
            return {"frame": columns, "index": [str(label) for label in given.index]}
        case np.ndarray():
            values = [described(value) for value in given.ravel()]
            return {"array": str(given.dtype), "shape": list(given.shape), "values": values}
        case dict():
            return {"dict": [[str(key), described(value)] for key, value in given.items()]}
        case list():
            return {"list": [described(value) for value in given]}
    return f"{type(given).__name__} {given!r}"


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return {"given": described(model_input), "params": described(params)}


mlflow.models.set_model(Echo())
