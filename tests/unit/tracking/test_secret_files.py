"""A secret that is missing or unusable is named before anything starts."""

import pytest

from tracking_server import secret_files
from tracking_server.errors import RefusedError

ALL = ["kek-passphrase", "flask-secret-key", "pgpass", "s3.ini"]


def test_a_complete_folder_is_accepted(load):
    secret_files.check(load())


@pytest.mark.parametrize("name", ALL)
def test_a_missing_secret_is_named(load, secret_folder, name):
    (secret_folder / name).unlink()
    with pytest.raises(RefusedError, match=f"{name}: No such file"):
        secret_files.check(load())


@pytest.mark.parametrize("name", ALL)
def test_an_empty_secret_is_named(load, secret_folder, name):
    (secret_folder / name).write_text("\n")
    with pytest.raises(RefusedError, match=f"{name}: this secret is empty"):
        secret_files.check(load())


def test_a_passfile_that_libpq_would_ignore_is_refused(load, secret_folder):
    (secret_folder / "pgpass").chmod(0o640)
    with pytest.raises(RefusedError, match=r"pgpass is open to others"):
        secret_files.check(load())


def test_a_local_server_needs_neither_database_nor_storage_secrets(load, secret_folder):
    (secret_folder / "pgpass").unlink()
    (secret_folder / "s3.ini").unlink()
    secret_files.check(
        load(
            TRACKING_BACKEND_STORE="sqlite:////srv/mlflow.db",
            TRACKING_ARTIFACT_STORE="/srv/artifacts",
            TRACKING_S3_ENDPOINT=None,
        )
    )
