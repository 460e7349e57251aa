"""Every project by a git URI, as somebody runs it who has no checkout."""

import subprocess

import pytest

from stack.projects import RUNS
from tests.projects import Runs
from tests.stack.shipped import copy_shipped_files
from tests.tiny_t5 import build

AUTHOR = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A local git repository of what this working tree would commit."""
    folder = tmp_path_factory.mktemp("repository")
    copy_shipped_files(folder)
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "--all"],
        [*AUTHOR, "commit", "--quiet", "--message", "all"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_every_project_runs_from_a_git_uri(local_tracking, repository, tmp_path, run):
    runs = Runs(local_tracking.uri, tmp_path, run.project)
    runs.project = f"file://{repository}#projects/{run.project}"
    arguments = list(run.arguments)
    if "summarizer" in arguments:
        arguments += ["-P", f"source={build(tmp_path / 't5')}"]
    if "train" in arguments:
        arguments += ["-P", "env_manager=local"]

    status, output, recorded = runs.run(f"git {run}", arguments=arguments)

    assert status == 0, output
    assert recorded.info.status == "FINISHED"
    assert recorded.data.tags["mlflow.source.git.repoURL"] == f"file://{repository}"
