"""A real S3 server of the test's own: MinIO's server code, as JuiceFS embeds it."""

from __future__ import annotations

import secrets
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from harness.ports import free_port
from harness.processes import Process, clean_environment

JUICEFS = Path(sys.executable).parent / "juicefs"
FORMAT_OPTIONS = ["--no-update", "--storage", "file", "--trash-days", "0"]
# The cache is in memory and small, so that a test of large files measures the tracking
# server and not a second copy here.
GATEWAY_OPTIONS = ["--multi-buckets", "--keep-etag", "--object-tag"]
GATEWAY_OPTIONS += ["--cache-dir", "memory", "--cache-size", "64"]


class S3:
    """An S3 server with one user and, at the start, no bucket."""

    def __init__(self, folder: Path) -> None:
        self.access_key = "tests" + secrets.token_hex(4)
        self.secret_key = secrets.token_hex(16)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        meta = f"sqlite3://{folder}/meta.db?_journal=WAL"
        environment = clean_environment(
            HOME=folder, MINIO_ROOT_USER=self.access_key, MINIO_ROOT_PASSWORD=self.secret_key
        )
        subprocess.run(
            [JUICEFS, "format", *FORMAT_OPTIONS, "--bucket", f"{folder}/blocks/", meta, "store"],
            env=environment,
            check=True,
            capture_output=True,
        )
        self._process = Process(
            [JUICEFS, "gateway", "--no-banner", *GATEWAY_OPTIONS, meta, f"127.0.0.1:{self.port}"],
            environment,
            folder / "s3.log",
        )

    def start(self) -> S3:
        self._process.start()
        self._process.wait_for(self._live, timeout=30, what="S3 server")
        return self

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()

    def credentials(self) -> str:
        """An AWS shared credentials file for the one user."""
        return (
            f"[default]\naws_access_key_id = {self.access_key}\n"
            f"aws_secret_access_key = {self.secret_key}\n"
        )

    def client(self):
        """A boto3 client of this server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}),
        )

    def create_bucket(self, prefix: str = "mlflow") -> str:
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.client().create_bucket(Bucket=name)
        return name

    def _live(self) -> bool:
        with urllib.request.urlopen(f"{self.endpoint}/minio/health/live", timeout=2) as answer:
            return answer.status == 200
