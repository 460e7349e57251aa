"""`make down` and `make clean` where an overlay was on that is off by now."""

from __future__ import annotations

import subprocess

import pytest

from harness.stack import Stack, docker
from harness.waiting import wait_until


def make(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=stack.folder,
        env=stack.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def volumes(stack: Stack) -> list[str]:
    label = f"label=com.docker.compose.project={stack.project}"
    return docker("volume", "ls", "--quiet", "--filter", label).stdout.split()


@pytest.fixture
def switched_off(new_stack) -> Stack:
    """The gateway runs, and the files of `docker compose` know nothing of it."""
    stack = new_stack("compose.team.yml")
    stack.compose("up", "--detach", "--no-deps", "secrets")
    stack.compose("up", "--detach", "--no-deps", "gateway")
    reads = ["exec", "-T", "gateway", "cat", "/etc/caddy/Caddyfile"]  # in a clone under umask 077
    wait_until(
        lambda: stack.compose(*reads, check=False).returncode == 0, 60, "the gateway reads it"
    )
    stack.files = ["docker-compose.yml"]
    return stack


def test_down_stops_it_and_clean_removes_its_volumes_and_says_so_only_then(switched_off):
    stack = switched_off
    data = stack.volume("gateway-data")
    assert "the data is kept" in make(stack, "down").stdout
    assert stack.containers() == {}
    assert data in volumes(stack)

    image = stack.compose("config", "--images", "secrets").stdout.strip()
    holder = ["--detach", "--rm", "--volume", f"{data}:/held", "--entrypoint", "sleep"]
    user = docker("run", *holder, image, "600").stdout.strip()
    try:
        refused = make(stack, "clean", "YES=1")
    finally:
        docker("rm", "--force", user)
    assert refused.returncode != 0
    assert f"mlflow-stack: not all is gone: volume {data}: " in refused.stderr
    assert user[:12] in refused.stderr
    assert "removed; " not in refused.stdout

    done = make(stack, "clean", "YES=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed; " in done.stdout
    assert volumes(stack) == []
    assert "nothing to remove" in make(stack, "clean", "YES=1").stdout
