"""`git pull && docker compose up -d --wait`: a release becomes the next one, with all its data.

The release before is the newest tag; in a clone that has none, it is made of the present files
under another version number. UPGRADE_FROM=COMMIT begins with any other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import mlflow
import pytest

from harness.ports import free_port
from harness.readme import blocks
from harness.stack import Stack, copy_shipped_files
from host.paths import ROOT
from tests.compose.kept import Kept

VERSION = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
OLDER = "0.0.9"
# A schema of three steps before, as an older MLflow has it.
DOWNGRADE = """
import os
os.environ["PGPASSFILE"] = "/run/stack/pgpass"
from alembic import command
from mlflow.store.db.utils import _get_alembic_config
command.downgrade(_get_alembic_config(os.environ["TRACKING_BACKEND_STORE"]), "-3")
"""
CACHED = "find /cache -name MLmodel -printf '%p %T@\\n' | sort"


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def put_older_release(folder) -> None:
    """The files of the release before into a folder, which may hold another's."""
    empty(folder)
    tags = git("tag", "--merged", "HEAD", "--sort=-version:refname", "v*").splitlines()
    tags = [tag for tag in tags if tag != f"v{VERSION}"]
    if commit := os.environ.get("UPGRADE_FROM") or next(iter(tags), None):
        archive = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
        ).stdout
        subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    else:
        copy_shipped_files(folder)
    for name in ("docker-compose.yml", "pyproject.toml"):
        file = folder / name
        file.write_text(file.read_text().replace(f":{VERSION}\n", f":{OLDER}\n"))


def put_this_release(folder) -> None:
    empty(folder)
    copy_shipped_files(folder)


def empty(folder) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def older_stack(images, tmp_path):
    """A stack of the release before, with data, a served model and an older schema; stopped are
    only the services that migration finds stopped."""
    del images  # of this release, which are found by then
    folder = tmp_path / "checkout"
    folder.mkdir()
    put_older_release(folder)
    stack = Stack(folder, f"mlflow-stack-test-{os.getpid()}-up", free_port(), free_port())
    before = mlflow.get_tracking_uri()
    try:
        stack.up("--build")
        mlflow.set_tracking_uri(stack.tracking)
        yield stack
    finally:
        mlflow.set_tracking_uri(before)
        stack.down("--volumes", "--timeout", "5")


def images(stack) -> set[str]:
    named = {container["Config"]["Image"] for container in stack.containers().values()}
    return {image.rpartition(":")[2] for image in named if "mlflow-stack" in image}


def test_the_next_release_takes_everything_over_and_the_way_back_is_open(older_stack):
    stack = older_stack
    kept = Kept(stack, mlflow.MlflowClient())
    tags = images(stack)
    assert VERSION not in tags
    stack.compose("stop", "tracking")
    stack.run("migrate", "-c", DOWNGRADE, entrypoint="python")
    older = stack.sql("SELECT version_num FROM alembic_version")
    cached = stack.execute("serving", "sh", "-c", CACHED)
    assert "MLmodel" in cached

    # git pull && docker compose up -d --wait
    put_this_release(stack.folder)
    stack.compose("up", "-d", "--wait")
    assert images(stack) == {VERSION}
    assert kept.is_all_there()
    tool = stack.run("migrate", "--version", entrypoint="pg_dump")
    assert tool == stack.execute("postgres", "pg_dump", "--version")
    assert stack.sql("SELECT version_num FROM alembic_version") != older
    said = stack.compose("logs", "--no-log-prefix", "migrate").stdout
    backup = re.search(r"backed up to (\S+);", said)[1]
    assert stack.execute("serving", "sh", "-c", CACHED) == cached

    # Go back as docs/upgrading.md does.
    stack.compose("stop", "tracking")
    stack.compose("run", "--rm", "-T", "migrate", "restore", backup)
    assert stack.sql("SELECT version_num FROM alembic_version") == older
    put_older_release(stack.folder)
    stack.compose("up", "-d", "--wait")
    assert images(stack) == tags
    assert kept.is_all_there()


@pytest.fixture
def new_home(new_stack, tmp_path):
    """A running stack, with `pg_dump` on the PATH that reaches its PostgreSQL's databases."""
    stack = new_stack()
    before = mlflow.get_tracking_uri()
    stack.up()
    mlflow.set_tracking_uri(stack.tracking)
    pg_dump = tmp_path / "bin" / "pg_dump"
    pg_dump.parent.mkdir()
    pg_dump.write_text(
        """#!/bin/bash
        for argument; do case $argument in --file=*) exec > "${argument#*=}"; shift;; *)
          set -- "${@:2}" "$argument";; esac; done
        exec docker compose exec -T postgres pg_dump "$@" < /dev/null
        """
    )
    pg_dump.chmod(0o755)
    yield stack
    mlflow.set_tracking_uri(before)


@pytest.mark.skipif(os.environ.get("FULL") != "1", reason="takes a minute: set FULL=1")
def test_an_mlflow_that_is_there_already_moves_in(new_home, tmp_path):
    """Follows docs/upgrading.md: from a database beside the stack's and a folder."""
    stack = new_home
    kept = Kept(stack, mlflow.MlflowClient())
    moved = stack.folder / "artifacts"
    moved.mkdir()
    moved.chmod(0o777)
    try:
        _as_an_old_mlflow_has_it(stack)
        path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
        environment = stack.environment(PATH=path, OLD_DATABASE="dbname=old user=postgres")
        for block in blocks("moving-in", ROOT / "docs" / "upgrading.md"):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.script],
                cwd=stack.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block.script}\n{done.stdout}{done.stderr}"
        assert kept.client.get_run(kept.run.run_id).info.artifact_uri == kept.run.artifact_uri
        assert kept.is_all_there()
    finally:
        shutil.rmtree(moved, ignore_errors=True)
        (stack.folder / "old.dump").unlink(missing_ok=True)


def _as_an_old_mlflow_has_it(stack) -> None:
    """Move all that the stack holds into a database `old`, with addresses of a bucket that clients
    reached themselves, and a folder; the stack itself is left empty."""
    stack.compose("stop", "tracking")
    stack.sql("CREATE DATABASE old TEMPLATE mlflow")
    for table, column in (
        ("experiments", "artifact_location"),
        ("runs", "artifact_uri"),
        ("logged_models", "artifact_location"),
        ("model_versions", "source"),
        ("model_versions", "storage_location"),
    ):
        stack.sql(
            f"\\c old\nUPDATE {table} SET {column} ="
            f" replace({column}, 'mlflow-artifacts:/', 's3://old-bucket/mlflow/')"
        )
    stack.sql("TRUNCATE experiments, registered_models CASCADE")
    login = (
        "export MC_CONFIG_DIR=/tmp/mc; { cat /run/stack/root-user; echo; "
        "cat /run/stack/root-password; echo; } | mc alias set stack http://minio:9000"
    )
    volume = f"{stack.folder}/artifacts:/out"
    options = ["--rm", "-T", "--no-deps", "--volume", volume, "--entrypoint", "sh"]
    mirror = f"{login}; mc mirror stack/mlflow /out; mc rm --recursive --force stack/mlflow/"
    stack.compose("run", *options, "bucket", "-ec", mirror)
