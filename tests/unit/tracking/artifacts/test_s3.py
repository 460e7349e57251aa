"""What the proxied S3 repository needs of MLflow's private parts, and what it must not offer."""

import inspect

import pytest
from mlflow.server import handlers
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import (
    _artifact_repository_registry,
    get_artifact_repository,
)
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

from tracking_server import patches
from tracking_server.artifacts import s3


@pytest.fixture
def repository(monkeypatch):
    """What MLflow makes of s3:// once ours is registered."""
    registered = _artifact_repository_registry.get_registered_artifact_repositories()
    monkeypatch.setitem(registered, "s3", registered["s3"])  # put back afterwards
    patches.register(patches.PROXIED_S3, s3.ProxiedS3)
    return get_artifact_repository("s3://mlflow/some/run")


def test_mlflow_takes_ours_for_s3(repository):
    assert type(repository) is s3.ProxiedS3


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (S3ArtifactRepository, "_download_file", ["self", "remote_file_path", "local_path"]),
        (S3ArtifactRepository, "_get_s3_client", ["self"]),
        (S3ArtifactRepository, "parse_s3_compliant_uri", ["self", "uri"]),
        (S3ArtifactRepository, "get_s3_file_upload_extra_args", []),
        (S3ArtifactRepository, "upload_archived_trace_data_bytes", ["self", "data"]),
        (ArtifactRepository, "_download_file", ["self", "remote_file_path", "local_path"]),
        (ArtifactRepository, "_is_directory", ["self", "artifact_path"]),
    ],
)
def test_mlflow_still_has_what_is_called_or_overridden(owner, name, parameters):
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


@pytest.mark.parametrize(
    "check",
    [
        handlers._validate_support_multipart_upload,
        handlers._validate_support_multipart_download,
        handlers._validate_support_presigned_upload,
        handlers._validate_support_presigned_download,
    ],
)
def test_no_client_gets_a_presigned_url(repository, check):
    """Whatever the size: the server itself says that it has none, and clients upload through it."""
    check(repository._s3)  # MLflow's own would hand them out
    with pytest.raises(Exception, match=r"(?i)not supported"):
        check(repository)


def test_a_file_is_stored_with_what_mlflow_stores_beside_it(repository, monkeypatch):
    monkeypatch.setenv("MLFLOW_S3_UPLOAD_EXTRA_ARGS", '{"ServerSideEncryption": "AES256"}')
    place = repository.place("0/table.csv.gz")
    assert (place.bucket, place.key) == ("mlflow", "some/run/0/table.csv.gz")
    assert place.made == {
        "ContentType": "text/csv",
        "ContentEncoding": "gzip",
        "ServerSideEncryption": "AES256",
    }
    assert place.owner == repository._s3._bucket_owner_params
