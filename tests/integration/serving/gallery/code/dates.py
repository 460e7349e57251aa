"""Dates in, weekdays and dates out; missing ones stay missing."""

import mlflow
import pandas as pd


class Weekdays(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        day = pd.to_datetime(model_input["day"])
        return pd.DataFrame({"weekday": day.dt.day_name(), "next": day + pd.Timedelta(days=1)})


mlflow.models.set_model(Weekdays())
