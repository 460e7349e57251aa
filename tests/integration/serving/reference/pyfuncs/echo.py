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


def described(argument):
    match argument:
        case pd.DataFrame():
            columns = [
                [str(name), str(column.dtype), [described(value) for value in column]]
                for name, column in argument.items()
            ]
            return {"frame": columns, "index": [str(label) for label in argument.index]}
        case np.ndarray():
            values = [described(value) for value in argument.ravel()]
            return {"array": str(argument.dtype), "shape": list(argument.shape), "values": values}
        case dict():
            return {"dict": [[str(key), described(value)] for key, value in argument.items()]}
        case list():
            return {"list": [described(value) for value in argument]}
    return f"{type(argument).__name__} {argument!r}"


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return {"given": described(model_input), "params": described(params)}


mlflow.models.set_model(Echo())
