"""Artifacts of any size pass through a server of little memory; a full disk is said clearly.

test_streams has what is S3's alone.
"""

import hashlib
import os
import threading
import time
from pathlib import Path

import httpx
import mlflow
import psutil
import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from harness.tracking import on_local_files

MIB = 2**20
# Passes in a few seconds; FULL=1 asks for the size that a model file can have.
SIZE = (1024 if os.environ.get("FULL") == "1" else 256) * MIB
GROWTH = 96 * MIB
PATH = "/api/2.0/mlflow-artifacts/artifacts/large/{}"


class MemoryPeak:
    """The largest growth of a process tree's own memory while the block runs, in bytes."""

    def __init__(self, pid):
        parent = psutil.Process(pid)
        self._tree = [parent, *parent.children(recursive=True)]
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self.bytes = 0

    def _now(self):
        # Private memory: page cache of staged files is the kernel's, and given back at need.
        return sum(process.memory_full_info().uss for process in self._tree)

    def _watch(self):
        while not self._done.wait(0.25):
            self.bytes = max(self.bytes, self._now() - self._before)

    def __enter__(self):
        self._before = self._now()
        self._watcher.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._watcher.join()


def send(uri, path, size):
    """Upload `size` bytes of a known pattern; the answer and their digest."""
    digest = hashlib.sha256()

    def body():
        block = bytes(range(256)) * 4096
        for number in range(size // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            yield piece

    answer = httpx.put(uri + path, content=body(), timeout=300)
    return answer, digest.hexdigest()


def digest_of(uri, path):
    digest = hashlib.sha256()
    with httpx.stream("GET", uri + path, timeout=300) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_bytes():
            digest.update(piece)
    return digest.hexdigest()


@pytest.mark.parametrize("store", ["tracking", "local_tracking"])
def test_a_large_artifact_passes_in_little_memory(store, request, record_property):
    server = request.getfixturevalue(store)
    send(server.uri, PATH.format("warm"), MIB)
    digest_of(server.uri, PATH.format("warm"))
    with MemoryPeak(server.process.pid) as up:
        started = time.monotonic()
        answer, sent = send(server.uri, PATH.format("file"), SIZE)
        up_seconds = time.monotonic() - started
    assert answer.status_code == 200
    with MemoryPeak(server.process.pid) as down:
        started = time.monotonic()
        received = digest_of(server.uri, PATH.format("file"))
        down_seconds = time.monotonic() - started
    assert received == sent
    figures = f"{store}: {SIZE // MIB} MiB up in {up_seconds:.1f} s, +{up.bytes // MIB} MiB; "
    figures += f"down in {down_seconds:.1f} s, +{down.bytes // MIB} MiB"
    record_property("figures", figures)
    print(figures)
    assert up.bytes < GROWTH, figures
    assert down.bytes < GROWTH, figures
    assert not [path for path in (server.folder / "tmp").rglob("*") if path.is_file()]


def test_a_full_disk_is_said_clearly_and_smaller_artifacts_still_pass(small_disk, tmp_path):
    server = on_local_files(tmp_path / "server", TRACKING_ARTIFACT_STORE=small_disk)
    assert server.migrate().returncode == 0
    server.start()
    try:
        full, _ = send(server.uri, PATH.format("too-large"), 64 * MIB)
        assert full.status_code == 507
        assert "disk is full" in full.json()["message"]
        small, _ = send(server.uri, PATH.format("small"), 4 * MIB)
        assert small.status_code == 200
    finally:
        server.stop()


def test_a_client_with_a_file_above_the_multipart_threshold_sends_it_through_the_server(
    tracking, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(5 * MIB))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 * MIB))
    refused = httpx.post(
        f"{tracking.uri}/api/2.0/mlflow-artifacts/mpu/create/large",
        json={"path": "large/file", "num_parts": 2},
    )
    assert refused.status_code == 501

    file = tmp_path / "file"
    file.write_bytes(os.urandom(6 * MIB))
    client = mlflow.MlflowClient(tracking.uri)
    run = client.create_run("0").info
    client.log_artifact(run.run_id, str(file))
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run.run_id, "file", str(tmp_path / "back"))
    assert Path(back).read_bytes() == file.read_bytes()

    repository = get_artifact_repository(run.artifact_uri, tracking.uri)
    repository.delete_artifacts("file")
    assert client.list_artifacts(run.run_id) == []
