"""Pyfuncs on frames: polars' of several kinds, and pandas' of a release before the server's."""

from pathlib import Path

import mlflow
from mlflow.models import infer_signature
from saved import FRAME, NUMBERS, save_all

HEAD = """
import mlflow
import pandas as pd
import polars as pl

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
"""
FOOT = "\nmlflow.models.set_model(Model())\n"
SUMS = (
    "        return pl.from_pandas(model_input).select(s=pl.sum_horizontal(pl.all())).to_pandas()"
)
LAZY = """
        frame = pl.from_pandas(model_input).lazy()
        price = pl.lit((params or {}).get("price", 2.0))
        upper = pl.col("city").str.to_uppercase()
        priced = frame.with_columns(total=pl.col("income") * price, city=upper)
        return priced.filter(pl.col("total").is_not_null()).collect().to_dicts()
"""
SHARES = """
        frame = pl.from_pandas(model_input)
        return frame.select(pl.col("income") / pl.col("income").sum()).to_series().to_numpy()
"""
JOINED = """
        known = pd.DataFrame({"city": ["Oslo", "Rome"], "country": ["Norway", "Italy"]})
        return model_input.merge(known, how="left", on="city")
"""


def code(body, frame):
    def save(folder):
        file = Path(folder).with_suffix(".py")
        file.write_text(HEAD + body + FOOT)
        example = frame.head(3)
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(file),
            signature=infer_signature(example),
            input_example=example,
        )
        return example

    return save


class Ranked(mlflow.pyfunc.PythonModel):
    """Pickled, with state; and each answer depends on the rows beside it."""

    def __init__(self, among):
        self.among = among

    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return model_input.groupby(self.among)["income"].rank()


def ranked(folder):
    example = FRAME.head(3)
    mlflow.pyfunc.save_model(
        folder, python_model=Ranked("city"), signature=infer_signature(example)
    )
    return example


save_all(
    {
        "polars-sums": code(SUMS, NUMBERS),
        "polars-lazy": code(LAZY, FRAME),
        "polars-shares": code(SHARES, NUMBERS),
        "pandas-joined": code(JOINED, FRAME),
        "pandas-ranked": ranked,
    }
)
