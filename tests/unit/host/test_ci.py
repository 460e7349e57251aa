"""`.ci/run`, with a `make` of our own that shows what it is given."""

import shutil
import subprocess

import pytest

from harness.processes import clean_environment
from host.paths import ROOT

SHOW = 'echo "restart=${STACK_TEST_ENGINE_RESTART-unset} tier=${COMPOSE_TIER-unset}"'


def program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("brings_engine", "user", "shown"),
    [
        (True, 0, "restart=1 tier=required"),
        (True, 1000, "restart=unset tier=unset"),
        (False, 0, "restart=unset tier=unset"),
    ],
)
def test_only_an_engine_that_was_brought_may_be_restarted(tmp_path, brings_engine, user, shown):
    script = tmp_path / "project" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", script)
    program(tmp_path / "bin" / "make", SHOW)
    program(tmp_path / "bin" / "id", f"echo {user}")
    if brings_engine:
        program(tmp_path / "shared" / "offline" / "up", "true")
    environment = clean_environment()
    for name in ("STACK_TEST_ENGINE_RESTART", "COMPOSE_TIER"):
        environment.pop(name, None)
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    done = subprocess.run(
        [script], env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    assert shown in done.stdout.splitlines()
