"""The registry and a model server that follows it: promoted, rolled back, kept from deletion."""

import numpy as np
import pytest

from harness.serving import ModelServer
from tests.integration.projects.registry.desk import ROWS, TRUE, good, promote


@pytest.fixture(scope="module")
def serving(local_tracking, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    server = ModelServer(folder, MLFLOW_TRACKING_URI=local_tracking.uri).start()
    yield server
    server.stop()


def test_the_model_server_follows_promotion_rollback_and_deletion(desk, serving):
    name = desk.name
    desk.monkeypatch.setenv("MODEL_SERVER_URL", serving.url)
    row = {"dataframe_split": {"columns": ["a", "b"], "data": [[3.0, 0.0]]}}

    def answers(version: str, value: float) -> None:
        def answered():
            got = serving.ask(row, name)
            return got.status_code == 200 and got.headers["x-model-version"] == version and got

        (prediction,) = serving.wait_for(answered, 30, f"version {version}").json()["predictions"]
        assert prediction == pytest.approx(value)

    first = desk.version(good(), np.full(len(ROWS), 5.0))
    second = desk.version(good(), TRUE)
    assert "served" in desk.done("show", name, first)
    desk.done(*promote(desk, first, "--metric", "r2_score"))
    answers(first, 5.0)
    desk.done(*promote(desk, second, "--metric", "r2_score"))
    answers(second, 7.0)
    assert f"version 2 is served as {name} (alias champion)" in desk.done("show", name)
    desk.done("rollback", name)
    answers(first, 5.0)

    desk.done("alias", name, "challenger", second)
    why = desk.refused("delete", name, first)
    assert f"version 1 is served as {name} (alias champion)" in why
    assert "no model server" not in why
    assert "--force true deletes it anyway" in why
    answers(first, 5.0)
    assert "served as" in desk.refused("delete-model", name)
    desk.done("unalias", name, "challenger")
    assert desk.done("delete", name, second) == f"version 2 of {name} is deleted\n"
    desk.done("delete", name, first, "--force", "true")
    serving.wait_for(lambda: serving.model(name) == {}, 20, "the end of what is deleted")
    assert desk.done("delete-model", name) == f"{name} is deleted, with 0 versions\n"


def test_what_is_served_without_an_alias_is_not_deleted_either(desk, local_tracking, tmp_path):
    version = desk.version(good(), TRUE)
    wanted = f"blue=models:/{desk.name}/{version}"
    server = ModelServer(
        tmp_path / "pinned", MLFLOW_TRACKING_URI=local_tracking.uri, SERVING_MODELS=wanted
    )
    desk.monkeypatch.setenv("MODEL_SERVER_URL", server.url)
    with server.process:
        server.wait_for(server.is_ready, 90, "the pinned version")

        why = desk.refused("delete", desk.name, version)
        assert f"version 1 is served as blue (SERVING_MODELS has {wanted})" in why
    assert "no model server answers" in desk.done("delete", desk.name, version)
