"""Something to be found again, whatever happened to the stack."""

from __future__ import annotations

import uuid

import httpx
import mlflow
from sklearn.dummy import DummyRegressor

from harness.waiting import wait_until


class Kept:
    """A run, its artifact and a served model, to be found again."""

    def __init__(self, stack, client) -> None:
        self.stack, self.client = stack, client
        self.name = f"kept-{uuid.uuid4().hex[:8]}"
        mlflow.set_experiment(self.name)
        with mlflow.start_run() as run:
            mlflow.log_text(self.name, "note.txt")
            model = DummyRegressor(strategy="constant", constant=7.0).fit([[0.0]], [7.0])
            mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name=self.name,
                pip_requirements=["scikit-learn"],
            )
        self.run = run.info
        client.set_registered_model_alias(self.name, "champion", "1")
        wait_until(self.is_served, 30, "the model is served")

    def is_served(self) -> bool:
        address = f"{self.stack.serving}/models/{self.name}/invocations"
        answer = httpx.post(address, json={"inputs": [[1.0]]})
        return answer.status_code == 200 and answer.json() == {"predictions": [7.0]}

    def is_all_there(self) -> bool:
        assert self.client.get_run(self.run.run_id).info.status == "FINISHED"
        assert mlflow.artifacts.load_text(f"{self.run.artifact_uri}/note.txt") == self.name
        wait_until(self.is_served, 10, "the model is served again")
        return True
