"""statsmodels by its flavor, a polars pyfunc, and what skl2onnx exports."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import statsmodels.api as sm
from mlflow.models import infer_signature
from saved import AMOUNT, NUMBERS, RICH, save_all
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression


def fitted(model):
    def save(folder):
        example = NUMBERS.head(3)
        mlflow.statsmodels.save_model(
            model.fit(), folder, signature=infer_signature(example), input_example=example
        )
        return example

    return save


def arima(folder):
    model = sm.tsa.ARIMA(AMOUNT.to_numpy(), order=(1, 0, 0)).fit()
    example = pd.DataFrame({"start": [48, 49], "end": [50, 52]})  # asked for one by one
    mlflow.statsmodels.save_model(model, folder, signature=infer_signature(example))
    return example


def exported(folder):
    values = NUMBERS.to_numpy(np.float32)
    graph = to_onnx(LogisticRegression().fit(values, RICH), values[:1], options={"zipmap": False})
    mlflow.onnx.save_model(graph, folder)
    return NUMBERS.head(3)


POLARS = """
import mlflow
import polars


class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        frame = polars.from_pandas(model_input)
        return frame.select(sum=polars.sum_horizontal(polars.all())).to_pandas()


mlflow.models.set_model(Sums())
"""


def frames(folder):
    code = Path(folder).with_suffix(".py")
    code.write_text(POLARS)
    mlflow.pyfunc.save_model(folder, python_model=str(code), signature=infer_signature(NUMBERS))
    return NUMBERS.head(3)


save_all(
    {
        "least-squares": fitted(sm.OLS(AMOUNT, NUMBERS)),
        "gamma": fitted(sm.GLM(AMOUNT, NUMBERS, family=sm.families.Gamma(sm.families.links.Log()))),
        "arima": arima,
        "skl2onnx": exported,
        "polars": frames,
    }
)
