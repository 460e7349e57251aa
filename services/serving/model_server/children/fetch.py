"""The child that brings a version's files here, by MLflow's own client: it alone is given the
tracking credentials."""

import importlib.util
import os
import shutil
import socket
from pathlib import Path

import mlflow
import mlflow.artifacts

from model_server.errors import FetchError, bounded, without_paths
from model_server.processes import wire


def main(
    sock: socket.socket,
    uri: str,
    folder: str,
    tracking_uri: str | None,
    credentials: dict[str, str],
) -> None:
    """The child: download, then send what went wrong, or None."""
    os.environ.update(credentials)
    if tracking_uri:
        # Not as an argument: MLflow forgets that for the registry half of a models:/ URI.
        os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # to read one is no harm
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"  # the server retries too, and says why
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "30"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"  # the log is lines of JSON
    problem = None
    try:
        target = Path(folder)
        parts = target.with_name(target.name + ".parts")
        parts.mkdir()  # its parent is gone when nobody waits for this any more
        downloaded = mlflow.artifacts.download_artifacts(_location(uri), dst_path=str(parts))
        if not (Path(downloaded) / "MLmodel").is_file():
            problem = "there is no MLmodel file in it"
        shutil.move(downloaded, target)
        shutil.rmtree(parts, ignore_errors=True)
    except FetchError as error:
        problem = str(error)
    except Exception as error:
        problem = bounded(without_paths(f"{type(error).__name__}: {error}"), 500)
    sock.sendall(wire.pack(problem))


def _reads(tracking_uri: str) -> bool:
    is_database = not tracking_uri.startswith(("http://", "https://", "file:", "/"))
    return not is_database or importlib.util.find_spec("sqlalchemy") is not None


def _location(uri: str) -> str:
    """Where a registered version's files are, asked for by name: MLflow reads no `?`, `@` or
    newline in the name of a `models:/` URI. Any other URI as it is. Raises FetchError."""
    if uri.startswith(("models:", "runs:")):
        uri = uri.rstrip("/")  # else MLflow looks for a model of that name
        if not _reads(mlflow.get_tracking_uri()):
            raise FetchError("mlflow-skinny alone reads no local store: pip install mlflow")
    reference = uri.removeprefix("models:/")
    if reference == uri or not {"@", "/"} & set(reference):
        return uri
    client = mlflow.MlflowClient()
    name, slash, version = reference.rpartition("/")
    if not slash:
        name, _, alias = reference.rpartition("@")
        version = client.get_model_version_by_alias(name, alias).version
    return client.get_model_version_download_uri(name, version)
