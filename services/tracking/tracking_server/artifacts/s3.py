"""S3 as clients of this server may use it: through the server, whole, and not otherwise.

Private methods of MLflow's S3 repository are called too: the public ones hide which error it was,
and the S3 client. Unit tests name each, and fail where MLflow renames one.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

from tracking_server.artifacts.place import Place

logger = logging.getLogger(__name__)

ERRORS = (BotoCoreError, Boto3Error, ClientError)
REFUSED_NAMES = ("KeyTooLongError", "InvalidURI", "XMinioInvalidObjectName")


class ProxiedS3(ArtifactRepository):
    """MLflow's S3 repository without its mixins for presigned URLs.

    From 500 MB on, a client asks the server for presigned URLs when the repository has these
    mixins. They sign the storage's own address, which clients cannot reach by design, and the
    upload or download would fail there.
    """

    def __init__(self, artifact_uri: str, **uris: Any) -> None:
        super().__init__(artifact_uri, **uris)
        self._s3 = S3ArtifactRepository(artifact_uri, **uris)

    @contextmanager
    def errors(self, path: str | None) -> Iterator[None]:
        """MLflow's errors for those of the store."""
        try:
            yield
        except ERRORS as error:
            raise self.told(path, error) from None

    def told(self, path: str | None, error: Exception) -> MlflowException:
        """404 for what is not there, 400 for a name that the store does not take, 503 for a store
        that does not answer, without its address. May ask the store."""
        # boto3's own error of an upload holds the store's in its context alone.
        said = error if isinstance(error, ClientError) else error.__context__
        code = said.response["Error"]["Code"] if isinstance(said, ClientError) else ""
        if code in ("NoSuchKey", "404"):
            if path and self._is_directory(path):  # type: ignore[no-untyped-call]  # MLflow's
                return _refused(path, "it is a folder, not a file")
            return MlflowException(f"No such artifact: '{path}'", RESOURCE_DOES_NOT_EXIST)
        logger.error("artifact store: %s", error)
        if code in REFUSED_NAMES:
            return _refused(path, "the artifact store takes no such name")
        if path and code not in ("", "403", "AccessDenied") and (both := self._is_both(path)):
            return _refused(path, both)
        return MlflowException(
            "The artifact store does not answer, or refuses; see the tracking server's log.",
            TEMPORARILY_UNAVAILABLE,
        )

    def _is_both(self, path: str) -> str | None:
        """What would be a file and a folder: many stores cannot hold that, and few say so. None
        where it is not so, or cannot be found out."""
        bucket, root = self._s3.parse_s3_compliant_uri(self.artifact_uri)
        client, parts = self._s3._get_s3_client(), path.strip("/").split("/")
        with suppress(BotoCoreError, ClientError):
            below = f"{posixpath.join(root, *parts)}/"
            if client.list_objects_v2(Bucket=bucket, Prefix=below, MaxKeys=1).get("KeyCount"):
                return "there is a folder of this name"
        for end in range(1, len(parts)):
            with suppress(BotoCoreError, ClientError):
                client.head_object(Bucket=bucket, Key=posixpath.join(root, *parts[:end]))
                return f"'{'/'.join(parts[:end])}' is a file"
        return None

    def place(self, path: str) -> Place:
        """Where a file lies below the URI, or will, with what MLflow stores beside it."""
        bucket, root = self._s3.parse_s3_compliant_uri(self.artifact_uri)
        kind, encoding = guess_type(path)
        made = {"ContentType": kind, "ContentEncoding": encoding}
        return Place(
            self._s3._get_s3_client,
            bucket,
            posixpath.join(root, path),
            self._s3._bucket_owner_params,
            {name: value for name, value in made.items() if value}
            | (self._s3.get_s3_file_upload_extra_args() or {}),
        )

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store a file."""
        with self.errors(posixpath.join(artifact_path or "", posixpath.basename(local_file))):
            self._s3.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store a folder."""
        with self.errors(artifact_path):
            self._s3.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List a folder."""
        with self.errors(path):
            files: list[FileInfo] = self._s3.list_artifacts(path)
            return files

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Fetch a file directly: MLflow's own way turns every failure into an internal error."""
        if dst_path is None:
            return str(super().download_artifacts(artifact_path, dst_path))  # type: ignore[no-untyped-call]  # MLflow's
        file = str(Path(dst_path, posixpath.basename(artifact_path)))
        self._download_file(artifact_path, file)
        return file

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        with self.errors(remote_file_path):
            self._s3._download_file(remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or a folder with all below it."""
        events = self._s3._get_s3_client().meta.events
        events.register("before-sign.s3.DeleteObjects", _add_md5, unique_id="content-md5")
        with self.errors(artifact_path):
            self._s3.delete_artifacts(artifact_path)

    def usage(self) -> tuple[int, int]:
        """How many objects there are below the URI, and their bytes all together."""
        bucket, path = self._s3.parse_s3_compliant_uri(self.artifact_uri)
        pages = self._s3._get_s3_client().get_paginator("list_objects_v2")
        files = size = 0
        with self.errors(path):
            for page in pages.paginate(Bucket=bucket, Prefix=f"{path.rstrip('/')}/"):
                # A key that ends in a slash is how some servers show a folder.
                sizes = [o["Size"] for o in page.get("Contents", []) if not o["Key"].endswith("/")]
                files, size = files + len(sizes), size + sum(sizes)
        return files, size

    def upload_archived_trace_data_bytes(self, data: bytes) -> None:
        """Store a trace's data."""
        self._s3.upload_archived_trace_data_bytes(data)


def _refused(path: str | None, why: str) -> MlflowException:
    return MlflowException(f"Invalid path '{path}': {why}.", INVALID_PARAMETER_VALUE)


def _add_md5(request: AWSRequest, **_: Any) -> None:
    """What S3 demanded of this one call before it took CRCs, and many servers demand still."""
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
