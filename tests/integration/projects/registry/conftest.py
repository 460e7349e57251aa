"""The project's modules, importable; a desk at a registry."""

import uuid

import pytest
from mlflow import MlflowClient

from harness.projects import importable, use

importable("registry")

from tests.integration.projects.registry.desk import Desk  # noqa: E402 - needs the project's modules


@pytest.fixture
def sit(tmp_path, capsys, monkeypatch):
    """A function that gives a desk at a tracking server; models of its name go in the end."""
    desks = []

    def at(server) -> Desk:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        monkeypatch.setenv("MODEL_SERVER_URL", "http://127.0.0.1:9")
        use(server.uri)
        name = f"desk-{uuid.uuid4().hex[:8]}"
        desks.append(Desk(MlflowClient(), name, tmp_path, capsys, monkeypatch))
        return desks[-1]

    yield at
    for desk in desks:
        for model in desk.client.search_registered_models(f"name LIKE '{desk.name}%'"):
            desk.client.delete_registered_model(model.name)


@pytest.fixture
def desk(sit, local_tracking):
    return sit(local_tracking)
