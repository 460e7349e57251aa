"""Every project against the Compose stack: from the host by one command, and from the runner."""

import sys

import pytest

from harness.processes import run
from harness.projects import assert_all_ran, names
from harness.readme import blocks
from harness.tiny_t5 import build

pytestmark = pytest.mark.timeout(1200)


def test_one_command_runs_every_project_and_asks_each_model(stack, hub):
    (block,) = blocks("projects")
    program, target = block.script.split()

    environment = stack.environment(STACK_MODE="compose", **hub)
    done = run([program, f"PYTHON={sys.executable}", target], stack.folder, environment)

    assert done.returncode == 0, done.stdout
    assert_all_ran(done.stdout)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    """A folder that the runner's user may read, too."""
    folder = build(tmp_path_factory.mktemp("models") / "t5")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


RUNNER = {
    "huggingface": ["-e", "summarizer", "-P", "source=/models/t5"],
    "registry": [],
    "tuning": ["-P", "trials=4"],
    "validation": ["-P", "filename=data/clean.csv"],
}
"""Arguments that make each project's run short; wine in all its ways is in test_loop.py."""


def test_the_runner_is_asked_for_every_project():
    assert {*RUNNER, "wine"} == set(names())


@pytest.mark.parametrize("project", RUNNER)
def test_the_runner_runs_every_project(stack, client, t5, project):
    command = ["mlflow", "run", f"projects/{project}", "--env-manager", "uv", *RUNNER[project]]
    options = ["--rm", "-T", "--volume", f"{t5}:/models/t5:ro"]

    stack.compose("run", *options, "runner", *command)

    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (latest,) = client.search_runs(experiments, order_by=["start_time DESC"], max_results=1)
    assert latest.info.status == "FINISHED"
