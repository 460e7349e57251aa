"""Wrong settings: the service does not start, one line says why, `docker compose up` shows it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.processes import Process
from harness.waiting import wait_until


@pytest.fixture(scope="module")
def other(new_stack, stack):
    """Another stack from the same images, for other settings."""
    another = new_stack()
    assert another.project != stack.project
    return another


@pytest.mark.parametrize(
    ("setting", "value"),
    [("STACK_HOST", "0.0.0.0"), ("TRACKING_WORKERS", "0")],
)
def test_up_ends_with_one_line_that_names_the_setting(other, setting, value):
    done = other.compose("up", check=False, **{setting: value})
    assert done.returncode != 0
    said = done.stdout + done.stderr
    (line,) = [line for line in said.splitlines() if setting in line]
    assert value in line
    assert "Traceback" not in said
    assert not other.container("tracking")["State"]["Running"]


@pytest.mark.parametrize("setting", ["SERVING_POLL", "SERVING_BODY_LIMIT"])
def test_up_shows_why_serving_does_not_start(other, setting, tmp_path):
    """Serving is started again and again, as a setting may be about what comes later."""
    command = ["docker", "compose", "--project-directory", other.folder, "up", "serving"]
    with Process(command, other.environment(**{setting: "abc"}), tmp_path / "log") as up:
        wait_until(lambda: setting in up.text(), 60, f"the line about {setting}")
    shown = up.text()
    assert "abc" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("service", "settings", "named"),
    [
        ("tracking", {"TRACKING_PATIENCE": "soon"}, "TRACKING_PATIENCE"),
        ("tracking", {"TRACKING_WORKER": "2"}, "TRACKING_WORKER"),
        ("tracking", {"TRACKING_BACKEND_STORE": "mysql://x"}, "TRACKING_BACKEND_STORE"),
        ("tracking", {"TRACKING_SECRETS": "/nowhere"}, "TRACKING_SECRETS"),
        ("serving", {"SERVING_ALIAS": "a", "SERVING_MODELS": "a@b@c"}, "SERVING_MODELS"),
        ("serving", {"SERVING_CACHE": "/proc/none"}, "SERVING_CACHE"),
        ("serving", {"MLFLOW_TRACKING_URI": "ftp://x"}, "MLFLOW_TRACKING_URI"),
    ],
)
def test_services_refuse_in_one_line(stack, service, settings, named):
    options = [f"--env={name}={value}" for name, value in settings.items()]
    done = stack.compose("run", "--rm", "-T", "--no-deps", *options, service, check=False)
    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if named in line]
    assert len(said) == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_a_proxy_of_dockers_own_configuration_changes_nothing_inside(other, tmp_path):
    """Docker puts it into every container; nothing answers at this one."""
    theirs = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    for path in theirs.iterdir() if theirs.is_dir() else ():
        (tmp_path / path.name).symlink_to(path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text()) if file.exists() else {}
    file.unlink(missing_ok=True)
    dead = f"http://127.0.0.1:{free_port()}"
    config["proxies"] = {"default": {"httpProxy": dead, "httpsProxy": dead}}
    file.write_text(json.dumps(config))

    other.up("--force-recreate", DOCKER_CONFIG=str(tmp_path))
    try:
        for service in ("minio", "tracking", "serving"):
            assert f"http_proxy={dead}" in other.container(service)["Config"]["Env"], service
    finally:
        other.down("--volumes")
