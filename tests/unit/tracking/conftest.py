"""Settings of a tracking server, as its environment would hold them."""

import pytest

from tracking_server import settings


@pytest.fixture
def secret_folder(tmp_path):
    """A folder with every secret, each readable by its owner alone."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ("kek-passphrase", "flask-secret-key", "pgpass", "s3.ini"):
        (folder / name).touch(0o600)
        (folder / name).write_text(f"text of {name}\n")
    return folder


@pytest.fixture
def load(monkeypatch, secret_folder):
    """Load settings from a complete environment with the given variables on top."""

    def load_with(**variables):
        complete = {
            "TRACKING_BACKEND_STORE": "postgresql+psycopg2://mlflow@postgres:5432/mlflow",
            "TRACKING_ARTIFACT_STORE": "s3://mlflow",
            "TRACKING_S3_ENDPOINT": "http://minio:9000",
            "TRACKING_SECRETS": str(secret_folder),
        }
        for name, value in {**complete, **variables}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return settings.load()

    return load_with
