"""Models of a store on this machine, which no tracking server answers for."""

import contextlib

import pytest
from mlflow import MlflowClient

from harness.registry import Shelf
from harness.serving import ModelServer
from tests.integration.serving.models import act


@pytest.mark.parametrize("store", ["sqlite:///{}/mlflow.db", "{}/mlruns"])
def test_models_of_a_local_store_are_served(models, tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)  # where artifacts go by default
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # to write there; it is read without
    uri = store.format(tmp_path)
    shelf = Shelf(uri)
    for answer in (1, 2):
        version = shelf.publish("a?b", models.chameleon_with(answer=answer))
        shelf.promote("a?b", version, f"no-{answer}")
    client = MlflowClient(uri)
    run = client.get_model_version("a?b", "2").run_id
    logged = client.create_logged_model("0", name="logged").model_id
    client.log_model_artifacts(logged, str(models.chameleon_with(answer=3)))
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    server = ModelServer(
        tmp_path / "server",
        MLFLOW_TRACKING_URI=uri,
        SERVING_MODELS=f"a%3Fb/1,alias=models:/a%3Fb@no-2,run=runs:/{run}/model,"
        f"logged=models:/{logged},none=models:/a%3Fb/7",
    )
    expected = {"a%3Fb": [1], "alias": [2], "run": [2], "logged": [3]}
    with server.process, contextlib.closing(server.http):
        for name, predictions in expected.items():
            server.wait_for(
                lambda name=name, predictions=predictions: (
                    server.ask(act("answer"), name).json() == {"predictions": predictions}
                ),
                60,
                f"{name} to answer",
            )
        server.wait_for(lambda: server.model("none")["problem"], 30, "the refusal")
        assert "version=7" in server.model("none")["problem"]
        assert "at the start" in server.model("alias")["because"]
        assert server.model("alias")["version"] == "no-2"
