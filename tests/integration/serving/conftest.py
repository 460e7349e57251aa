"""Models saved once, and model servers that serve them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.registry import Shelf
from harness.serving import ModelServer
from tests.integration.serving.models import chameleon_with, save_chameleon, save_wine


@dataclass(frozen=True)
class Folders:
    """Saved models."""

    wine: Path
    chameleon: Path
    root: Path

    def chameleon_with(self, **config: object) -> Path:
        name = "-".join(f"{key}-{value}" for key, value in config.items())
        folder = self.root / name
        return folder if folder.exists() else chameleon_with(self.chameleon, folder, **config)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return Folders(save_wine(root / "wine"), save_chameleon(root / "chameleon"), root)


@pytest.fixture(scope="session")
def server(models, tmp_path_factory):
    """A server on folders alone, with limits that tests can reach. Tests leave it working."""
    running = ModelServer(
        tmp_path_factory.mktemp("serving"),
        SERVING_MODELS=f"wine={models.wine},chameleon={models.chameleon},"
        f"odd%2Fn%C3%A4me={models.chameleon_with(answer=2)}",
        SERVING_DEFAULT="wine",
        SERVING_NAMES="serving,a.example.org",
        SERVING_BODY_LIMIT=1_000_000,
        SERVING_BODY_TIMEOUT=2,
        SERVING_TIMEOUT=4,
        SERVING_QUEUE_LIMIT=8,
        AWS_SECRET_ACCESS_KEY="not for workers",
        MLFLOW_TRACKING_PASSWORD="not for workers",
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def shelf(local_tracking):
    return Shelf(local_tracking.uri)


@pytest.fixture(scope="module")
def following(local_tracking, tmp_path_factory):
    """A server that follows the registry's champions."""
    running = ModelServer(
        tmp_path_factory.mktemp("following"), MLFLOW_TRACKING_URI=local_tracking.uri
    ).start()
    yield running
    running.stop()
