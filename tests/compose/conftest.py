"""The compose tier: the docker-compose.yml that ships, started once for all tests of a process."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.tracking import fluent
from xdist.scheduler import LoadScopeScheduling

from harness.hub import Hub, serving
from harness.ports import free_port
from harness.projects import PROJECTS
from harness.stack import Stack, copy_shipped_files
from harness.tiny_t5 import build
from host.commands.test import WORKING
from host.docker.readiness import why_no_stack
from host.paths import LOCAL
from tests.compose.kept import Kept

HERE = Path(__file__).parent


class _Scheduling(LoadScopeScheduling):
    """The tests of a file stay together, and those of the team overlay, which share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "team" if "/team/" in file else file


def pytest_xdist_make_scheduler(config, log):
    return _Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Those that want the machine for themselves are last, and may wait for all others' end."""
    for item in items:
        if item.path.is_relative_to(HERE) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(7200 if _is_quiet(item) else 900))
    items.sort(key=_is_quiet)


def _is_quiet(item) -> bool:
    return item.get_closest_marker("quiet") is not None


@pytest.fixture(scope="session")
def working():
    """Shared by all that run tests on this checkout, and by one that wants to run alone."""
    LOCAL.mkdir(exist_ok=True)
    with WORKING.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock


@pytest.fixture(autouse=True)
def others_have_ended(request, working):
    """Wait for all that runs beside, where a test asks for it: such are a process's last."""
    if _is_quiet(request.node):
        fcntl.flock(working, fcntl.LOCK_EX)


@pytest.fixture(scope="module", autouse=True)
def experiment_of_no_other_file():
    """What one file's fixtures set is of a server that the next file's tests do not ask."""
    yield
    fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """The shipped files in a folder of their own, as umask 077 makes it; skips where no stack can
    run. Open stay the projects, which the runner asks for, and the locks, so that the layers that
    install packages are those of other builds."""
    if reason := why_no_stack():
        pytest.skip(f"COMPOSE TIER NOT RUN: {reason}")
    folder = tmp_path_factory.mktemp("clone")
    copy_shipped_files(folder)
    for path in folder.rglob("*"):
        open_to_others = path.suffix == ".txt" or path.is_relative_to(folder / "projects")
        if not open_to_others and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    return folder


@pytest.fixture(scope="session")
def images(clone):
    """All images, built from the clone by the first process of this run that wants them. A second
    build would give them other names of projects, and `up` make containers anew."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "tests-built").open("a+") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        built.seek(0)
        if built.read() != run:
            overlays = ("compose.team.yml",)
            builder = Stack(clone, "mlflow-stack-test", free_port(), free_port(), overlays)
            builder.compose("--profile", "*", "build")
            built.truncate(0)
            built.write(run)


@pytest.fixture(scope="session")
def new_stack(clone, images):  # noqa: ARG001 - from which stacks are made
    """Makes stacks from the clone, each with its own name, ports and overlays, and removes them."""
    numbers = itertools.count()

    def make(*overlays: str) -> Stack:
        project = f"mlflow-stack-test-{os.getpid()}-{next(numbers)}"
        stack = Stack(clone, project, free_port(), free_port(), overlays)
        made.callback(stack.remove)
        return stack

    with contextlib.ExitStack() as made:  # removes all, even where one cannot be
        yield make


@pytest.fixture(scope="session")
def stack(new_stack, request):
    """The one running stack. A test leaves it as it found it: healthy."""
    running = new_stack()
    try:
        running.up()
        yield running
    finally:
        if request.session.testsfailed:
            print("\n".join(running.trouble()))


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """What stands in for Hugging Face's hub, as variables: the tiny T5 under the real one's name.

    Reached by the host alone.
    """
    entry = yaml.safe_load((PROJECTS / "huggingface" / "MLproject").read_text())["entry_points"]
    defaults = {name: at["default"] for name, at in entry["summarizer"]["parameters"].items()}
    folder = tmp_path_factory.mktemp("hub")
    tiny = Hub(build(folder / "t5"), defaults["source"], defaults["revision"])
    with serving(tiny):
        yield {"HF_ENDPOINT": tiny.url, "HF_HOME": str(folder / "cache")}


@pytest.fixture
def client(stack):
    """MLflow's client, in a process that has the tracking server's address and nothing else."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(stack.tracking)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def kept(stack):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(stack.tracking)
    yield Kept(stack, mlflow.MlflowClient())
    mlflow.set_tracking_uri(before)
