"""Where runs and artifacts lie, who can reach them, and how large they may be."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import uuid

import httpx
import pytest

MIB = 2**20
SIZE = (2048 if os.environ.get("FULL") == "1" else 1280) * MIB

# Runs in tracking's container, with tracking's own S3 user.
TRESPASS = """
import json, os
os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/run/stack/s3.ini"
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
s3 = boto3.client("s3", endpoint_url="http://minio:9000", region_name="us-east-1",
                  config=Config(retries={"max_attempts": 1}))
def attempt(call, **arguments):
    try:
        call(**arguments)
        return "done"
    except ClientError as error:
        return error.response["Error"]["Code"]
other = {"Bucket": "another", "Key": "kept"}
own = {"Bucket": "mlflow", "Key": "trespass-control"}
print(json.dumps({
    "own write": attempt(s3.put_object, Body=b"x", **own),
    "own read": attempt(s3.get_object, **own),
    "own delete": attempt(s3.delete_object, **own),
    "list": attempt(s3.list_objects_v2, Bucket="another"),
    "read": attempt(s3.get_object, **other),
    "write": attempt(s3.put_object, Body=b"x", **other),
    "delete": attempt(s3.delete_object, **other),
    "create": attempt(s3.create_bucket, Bucket="third"),
    "drop": attempt(s3.delete_bucket, Bucket="another"),
    "drop own": attempt(s3.delete_bucket, Bucket="mlflow"),
}))
"""

# Runs on the host, in an environment that knows one address.
LOG_A_RUN = """
import sys, mlflow
with mlflow.start_run() as run:
    mlflow.log_param("colour", "red")
    mlflow.log_text("proxied " + sys.argv[1], "notes/note.txt")
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/"), run.info.artifact_uri
print(run.info.run_id, run.info.artifact_uri)
"""


def test_tracking_can_touch_no_other_bucket(stack):
    # Not by `mc pipe`: for a size that it does not know, it may take more memory than there is.
    keep = "echo kept >/tmp/kept; mc cp --quiet /tmp/kept stack/another/kept"
    stack.storage(f"mc mb --ignore-existing stack/another; {keep}")
    did = json.loads(stack.execute("tracking", "python", "-", stdin=TRESPASS))
    assert {did.pop(f"own {what}") for what in ("write", "read", "delete")} == {"done"}
    assert set(did.values()) == {"AccessDenied"}, did
    assert stack.storage("mc cat stack/another/kept") == "kept\n"
    stack.storage("mc rb --force stack/another")


def test_a_client_without_credentials_logs_through_the_proxy(stack, tmp_path):
    mark = uuid.uuid4().hex
    done = subprocess.run(
        [sys.executable, "-c", LOG_A_RUN, mark],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MLFLOW_TRACKING_URI": stack.tracking,
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.split()[-2]

    listed = stack.storage("mc ls --recursive stack/mlflow")
    (key,) = [line.split()[-1] for line in listed.splitlines() if f"{run_id}/artifacts/" in line]
    assert key.endswith("notes/note.txt")
    assert stack.storage(f"mc cat stack/mlflow/{key}") == f"proxied {mark}"

    status = stack.sql("SELECT status FROM runs WHERE run_uuid = :'run'", run=run_id)
    assert status == ["FINISHED"]
    params = stack.sql("SELECT key, value FROM params WHERE run_uuid = :'run'", run=run_id)
    assert params == ["colour|red"]


def test_database_takes_no_login_without_a_password(stack):
    for user in ("postgres", "mlflow"):
        login = [
            "psql",
            "--host=postgres",
            f"--username={user}",
            "--no-password",
            "--dbname=mlflow",
        ]
        refused = stack.compose("exec", "-T", "postgres", *login, check=False)
        assert refused.returncode != 0
        assert "no password supplied" in refused.stderr


def test_mlflows_role_is_no_superuser(stack):
    role = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'mlflow'"
    assert stack.sql(role) == ["f|f|f"]


@pytest.mark.timeout(900)
def test_more_than_its_memory_passes_through_tracking(stack, client, tmp_path, monkeypatch):
    """Moved up and down through a container that may use less than that as memory."""
    # Else MLflow sends all again where the disk needs more than two minutes.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    assert stack.container("tracking")["HostConfig"]["Memory"] == 2**30
    run = client.create_run(client.create_experiment(f"large-{uuid.uuid4().hex}"))
    source = tmp_path / "large.bin"
    block = os.urandom(MIB)
    sent = hashlib.sha256()
    with source.open("wb") as file:
        for number in range(SIZE // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            file.write(piece)
    client.log_artifact(run.info.run_id, str(source))
    source.unlink()

    path = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    address = f"{stack.tracking}/api/2.0/mlflow-artifacts/artifacts/{path}/large.bin"
    received, size = hashlib.sha256(), 0
    with httpx.stream("GET", address, timeout=300) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_bytes(MIB):
            received.update(piece)
            size += len(piece)
    assert size == SIZE
    assert received.hexdigest() == sent.hexdigest()

    assert httpx.delete(address, timeout=60).status_code == 200
    state = stack.container("tracking")
    assert not state["State"]["OOMKilled"]
    assert state["RestartCount"] == 0
    left = stack.execute("tracking", "sh", "-c", "du -sm /var/tmp/tracking | cut -f1")
    assert int(left) < 100, "what passed through stays behind on the disk"
