"""One PostgreSQL and one S3 server, and a tracking server of each kind on them."""

import contextlib
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from harness.ports import free_port
from harness.postgres import Postgres
from harness.processes import Process, clean_environment
from harness.s3 import S3
from harness.tracking import on_postgres_and_s3

START_SECONDS = 120
MLFLOW = Path(sys.executable).parent / "mlflow"


class Server:
    """A tracking server that can be started again and again."""

    def __init__(self, name: str, process: Process, port: int) -> None:
        self.name, self.process, self.port = name, process, port
        self.uri = f"http://127.0.0.1:{port}"

    def start(self) -> float:
        """Start it; returns the seconds until it has answered a search with 200."""
        start = time.perf_counter()
        self.process.start()
        with httpx.Client(base_url=self.uri, timeout=30) as client:
            self.process.wait_for(lambda: _answers(client), START_SECONDS, f"{self.name} server")
        return time.perf_counter() - start

    def stop(self) -> None:
        self.process.stop()


def _answers(client: httpx.Client) -> bool:
    answer = client.post("/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]})
    return answer.status_code == 200


class Storage:
    """PostgreSQL and S3, on which servers of both kinds are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with contextlib.ExitStack() as stack:
            self.postgres = Postgres()
            stack.callback(self.postgres.close)
            (folder / "s3").mkdir()
            self.s3 = S3(folder / "s3").start()
            stack.callback(self.s3.stop)
            self._stack = stack.pop_all()

    def ours(self) -> tuple[Server, str]:
        """This stack's tracking server, not yet started, and the name of its migrated database."""
        server = on_postgres_and_s3(self.folder / "ours", self.postgres, self.s3)
        migration = server.migrate()
        if migration.returncode:
            raise RuntimeError(migration.stdout + migration.stderr)
        return Server("ours", server.process, server.port), server.database

    def reference(self, database: str) -> Server:
        """`mlflow server` with its defaults on a copy of a database; not yet started."""
        copy, port = f"copy_{secrets.token_hex(4)}", free_port()
        self.postgres.execute(f"CREATE DATABASE {copy} TEMPLATE {database} OWNER mlflow")
        folder = self.folder / "reference"
        folder.mkdir()
        passfile = folder / "pgpass"
        passfile.touch(0o600)
        passfile.write_text(self.postgres.pgpass())
        credentials = folder / "s3.ini"
        credentials.touch(0o600)
        credentials.write_text(self.s3.credentials())
        environment = clean_environment(
            PGPASSFILE=passfile,
            AWS_SHARED_CREDENTIALS_FILE=credentials,
            MLFLOW_S3_ENDPOINT_URL=self.s3.endpoint,
        )
        command = [MLFLOW, "server", "--port", str(port)]
        command += ["--backend-store-uri", self.postgres.url(copy)]
        command += ["--artifacts-destination", f"s3://{self.s3.create_bucket()}"]
        return Server("reference", Process(command, environment, folder / "log"), port)

    def close(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Storage]:
    """Storage servers that stop at the end."""
    storage = Storage(folder)
    try:
        yield storage
    finally:
        storage.close()
