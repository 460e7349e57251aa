"""A model from code that stands on a package which the server does not have."""

import mlflow
import roman
import sklearn


class RomanYears(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        years = [roman.toRoman(int(year)) for year in model_input["year"]]
        return [f"{year} by scikit-learn {sklearn.__version__}" for year in years]


mlflow.models.set_model(RomanYears())
