"""A registry of the test's own."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient


class Shelf:
    """A registry, filled with folders as they are: no model is logged anew for each test."""

    def __init__(self, uri: str) -> None:
        self.client = MlflowClient(uri, uri)
        self._experiment = self.client.create_experiment(f"shelf-{id(self)}")

    def publish(self, name: str, folder: Path) -> str:
        """Registers a folder as the next version of `name`; its number."""
        run = self.client.create_run(self._experiment)
        self.client.log_artifacts(run.info.run_id, str(folder), "model")
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        source = f"{run.info.artifact_uri}/model"
        return self.client.create_model_version(name, source, run.info.run_id).version

    def promote(self, name: str, version: str, alias: str = "champion") -> None:
        self.client.set_registered_model_alias(name, alias, version)
