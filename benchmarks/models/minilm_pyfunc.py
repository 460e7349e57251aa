"""The text classifier as an MLflow model (models from code)."""

from pathlib import Path

import mlflow
from minilm import Classifier


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.classifier = Classifier(Path(context.artifacts["minilm"]))

    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return self.classifier.predict(model_input["text"].tolist())


mlflow.models.set_model(Model())
