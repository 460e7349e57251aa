"""scikit-learn and a pickled pyfunc, as MLflow 1.30 to 3.1 saved them."""

import mlflow
import mlflow.sklearn
from mlflow.models import infer_signature
from saved import AMOUNT, FRAME, NUMBERS, RICH, save_all
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


def forest(folder):
    model = RandomForestRegressor(5, random_state=0).fit(NUMBERS, AMOUNT)
    example = NUMBERS.head(3)
    signature = infer_signature(example, model.predict(example))
    mlflow.sklearn.save_model(model, folder, signature=signature, input_example=example)
    return example


def table(folder):
    words = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough"
    )
    model = make_pipeline(words, LogisticRegression(max_iter=1000)).fit(FRAME, RICH)
    mlflow.sklearn.save_model(model, folder, signature=infer_signature(FRAME))
    return FRAME.head(3)


class Doubled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return model_input * 2


def pickled(folder):
    mlflow.pyfunc.save_model(folder, python_model=Doubled(), signature=infer_signature(NUMBERS))
    return NUMBERS.head(3)


save_all({"forest": forest, "table": table, "pickled": pickled})
