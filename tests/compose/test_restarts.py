"""Whatever ends the containers, all comes back: data, artifacts, and what was served."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import mlflow
import pytest

from harness.stack import docker
from harness.waiting import wait_until
from tests.compose.kept import Kept

WARM_SECONDS = 15


@pytest.fixture(scope="module")
def kept(stack):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(stack.tracking)
    yield Kept(stack, mlflow.MlflowClient())
    mlflow.set_tracking_uri(before)


@pytest.mark.quiet
def test_down_then_up_brings_all_back_in_time(stack, kept):
    stack.down()
    started = time.monotonic()
    stack.up()
    took = time.monotonic() - started
    assert kept.is_all_there()
    print(f"warm up took {took:.1f} s")
    assert took <= WARM_SECONDS


def test_up_on_a_running_stack_changes_nothing(stack, kept):
    services = ("postgres", "minio", "tracking", "serving")
    before = {name: stack.container(name)["State"]["StartedAt"] for name in services}
    stack.up()
    assert {name: stack.container(name)["State"]["StartedAt"] for name in services} == before
    assert kept.is_all_there()


def test_killed_containers_come_back_with_all(stack, kept):
    stack.compose("kill")
    stack.up()
    assert kept.is_all_there()


def test_lost_secrets_are_refused_then_mended(stack, kept):
    old = stack.secrets()
    stack.down()
    readers = ("postgres", "database", "minio", "bucket", "tracking")
    volumes = ["secrets", *(f"secrets-{reader}" for reader in readers)]
    docker("volume", "rm", *map(stack.volume, volumes))

    refused = stack.compose("up", check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    (line,) = [line for line in said.splitlines() if "refused: " in line]
    assert "postgres-data" in line
    assert "minio-data" in line
    assert "docker compose run --rm secrets rotate" in line
    assert (
        stack.containers().keys() & {"tracking"} == set()
        or not (stack.container("tracking")["State"]["Running"])
    )

    stack.compose("run", "--rm", "-T", "secrets", "rotate")
    stack.up("--force-recreate")
    assert not set(stack.secrets().values()) & set(old.values())
    assert kept.is_all_there()


def test_a_changed_secret_is_refused_then_taken(stack, kept):
    own = stack.folder / "secrets" / "s3-secret-key"
    own.write_text(uuid.uuid4().hex)
    try:
        refused = stack.compose("up", "--detach", check=False)
        assert refused.returncode != 0
        assert "s3-secret-key changed" in stack.compose("logs", "secrets").stdout
        assert kept.is_all_there(), "a refusal must leave what runs alone"
        stack.compose("run", "--rm", "-T", "secrets", "rotate")
        stack.up("--force-recreate")
        assert kept.is_all_there()
        assert stack.secrets()["s3-secret-key"] == own.read_text()
    finally:
        own.unlink()
        stack.up()


@pytest.mark.skipif(
    os.environ.get("STACK_TEST_ENGINE_RESTART") != "1",
    reason="restarts the Docker engine under all containers: set STACK_TEST_ENGINE_RESTART=1",
)
def test_all_comes_back_by_itself_after_an_engine_restart(stack, kept, tmp_path):
    restart_engine(tmp_path / "dockerd.log")

    def healthy() -> bool:
        states = [c["State"] for c in stack.containers().values() if "Health" in c["State"]]
        return len(states) == 4 and all(
            state["Running"] and state["Health"]["Status"] == "healthy" for state in states
        )

    wait_until(healthy, 120, "all services are healthy without `docker compose up`")
    assert kept.is_all_there()


def restart_engine(log: Path) -> None:
    """Uses systemd where the engine is its service, else the same command once more; skips the test
    where this user may do neither."""
    if is_a_systemd_service():
        sudo = ["sudo", "-n"] if os.geteuid() else []
        command = [*sudo, "systemctl", "restart", "docker"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as missing:
            pytest.skip(f"may not restart the engine: {missing}")
        if done.returncode:
            pytest.skip(f"may not restart the engine: {' '.join(command)}: {done.stderr.strip()}")
    else:
        try:
            pid = int(Path("/var/run/docker.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            os.kill(pid, signal.SIGTERM)
        except OSError as refused:
            pytest.skip(f"may not restart the engine: {refused}")
        wait_until(lambda: not running(pid), 60, "the engine ends")
        with log.open("wb") as output:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    wait_until(lambda: docker("info", check=False).returncode == 0, 60, "the engine answers")


def is_a_systemd_service() -> bool:
    if not Path("/run/systemd/system").exists():
        return False
    return not subprocess.run(
        ["systemctl", "is-active", "--quiet", "docker"], check=False
    ).returncode


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
