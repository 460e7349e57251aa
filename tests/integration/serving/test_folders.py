"""Folders that appear late, change, or are a link: served within seconds, and by all replicas."""

import contextlib
import shutil
import time

import mlflow
import pytest

from harness.serving import ModelServer
from tests.integration.serving.models import act

SERVED_WITHIN = 20


@pytest.fixture
def server(models, tmp_path):
    """Given folders that are not all there, on the command line and by variable alike."""
    (tmp_path / "link").symlink_to(models.chameleon_with(answer=1))
    shutil.copytree(models.chameleon_with(answer=1), tmp_path / "anew")
    server = ModelServer(tmp_path / "server", SERVING_DEFAULT="link", SERVING_REPLICAS=2)
    server.process.command += [str(tmp_path / name) for name in ("link", "anew", "late")]
    with server.process:
        yield server


KEEPER = """
import pathlib
import time

import mlflow


class Keeper(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        pathlib.Path(__file__).with_name("cache").write_text(str(time.time_ns()))

    def predict(self, context, model_input, params=None):
        return [3]


mlflow.models.set_model(Keeper())
"""


def test_model_that_rewrites_a_file_beside_its_own_comes_back_after_a_restart(tmp_path):
    (tmp_path / "keeper.py").write_text(KEEPER)
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(folder, python_model=tmp_path / "keeper.py", pip_requirements=[])
    (folder / "cache").write_text("from before")
    server = ModelServer(
        tmp_path / "server", SERVING_MODELS=f"keeper={folder}", SERVING_CONFINEMENT="off"
    )
    with server.process, contextlib.closing(server.http):
        server.wait_for(lambda: answers(server, "keeper") == {3}, 60, "the model")
        worker = server.model("keeper")["workers"]
        time.sleep(2)
        assert server.model("keeper")["workers"] == worker


def answers(server, name: str) -> set:
    """Answers of both replicas, very likely."""
    replies = [server.ask(act("answer"), name) for _ in range(8)]
    return {one.json()["predictions"][0] if one.status_code == 200 else None for one in replies}


def test_folders_are_served_as_they_are(server, models, tmp_path):
    for name in ("link", "anew"):
        server.wait_for(lambda name=name: answers(server, name) == {1}, 60, f"{name} to answer")
    assert "no folder with an MLmodel" in server.model("late")["problem"]
    second = models.chameleon_with(answer=2)
    shutil.copytree(second, tmp_path / "late")
    (tmp_path / "new").symlink_to(second)
    (tmp_path / "new").rename(tmp_path / "link")
    shutil.rmtree(tmp_path / "anew")
    shutil.copytree(second, tmp_path / "anew")
    for name in ("link", "anew", "late"):
        server.wait_for(
            lambda name=name: answers(server, name) == {2}, SERVED_WITHIN, f"{name} to change"
        )
        assert answers(server, name) == {2}
