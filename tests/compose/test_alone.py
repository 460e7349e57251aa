"""What wants the machine for itself: a file that runs when all others have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import mlflow
import pytest

from harness.load import Load
from harness.stack import docker
from harness.waiting import wait_until
from tests.compose.models import ROWS, register

pytestmark = pytest.mark.quiet
WARM_SECONDS = 15


def test_promotion_and_rollback_under_load(stack, client):
    mlflow.set_experiment("promotion under load")
    first, second = (str(register("swap", value)) for value in (1.0, 2.0))
    client.set_registered_model_alias("swap", "champion", first)
    address = f"{stack.serving}/models/swap/invocations"
    wait_until(lambda: httpx.post(address, json=ROWS).status_code == 200, 30, "swap is served")

    took = []
    with Load(address, ROWS, clients=8) as load:
        wait_until(lambda: len(load.samples) > 200, 30, "load is on")
        for version in (second, first):
            client.set_registered_model_alias("swap", "champion", version)
            moved = time.monotonic()
            took.append(
                wait_until(
                    lambda version=version, moved=moved: load.first(version, moved),
                    30,
                    f"version {version} is served",
                )
            )
            asked = len(load.samples)
            wait_until(lambda asked=asked: len(load.samples) > asked + 200, 30, "more answers")

    assert not load.failures()
    assert {(sample.version, str(sample.prediction)) for sample in load.samples} == {
        (first, "[1.0, 1.0]"),
        (second, "[2.0, 2.0]"),
    }
    assert max(took) <= 2, f"promotion and rollback took {took} s"


def test_up_on_a_running_stack_changes_nothing(stack, kept):
    stack.up()  # by images that another stack may have built meanwhile
    services = ("postgres", "minio", "tracking", "serving")
    before = {name: stack.container(name)["State"]["StartedAt"] for name in services}
    stack.up()
    assert {name: stack.container(name)["State"]["StartedAt"] for name in services} == before
    assert kept.is_all_there()


def test_down_then_up_brings_all_back_in_time(stack, kept):
    stack.down()
    started = time.monotonic()
    stack.up()
    took = time.monotonic() - started
    assert kept.is_all_there()
    print(f"warm up took {took:.1f} s")
    assert took <= WARM_SECONDS


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
