"""Every project by a git URI, as somebody runs it who has no checkout."""

import subprocess

import pytest

from harness.projects import Runs, names
from harness.stack import copy_shipped_files
from harness.tiny_t5 import build

AUTHOR = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
GIVEN = {
    "huggingface": {"entry": "summarizer", "model_name": "summarizer-from-git"},
    "tuning": {"trials": 2, "model_name": "penguins-from-git"},
    "validation": {"filename": "data/clean.csv"},
    "wine": {"model_name": "wine-from-git"},
}
"""By project, what makes its run short, what it cannot do without, and a name of its own."""


def git(folder, *arguments):
    return subprocess.check_output(["git", *arguments], cwd=folder, text=True).strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A local git repository of what this working tree would commit."""
    folder = tmp_path_factory.mktemp("repository")
    copy_shipped_files(folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, *AUTHOR, "commit", "--quiet", "--message", "all")
    return folder


TRAIN = {
    "entry": "train",
    "filename": "../wine/data/wine.csv",
    "model_name": "wine-from-git",
    "env_manager": "local",
}


@pytest.mark.parametrize(
    ("project", "given"),
    [*((project, GIVEN.get(project, {})) for project in names()), ("validation", TRAIN)],
)
def test_every_project_runs_from_a_git_uri(tracking, repository, tmp_path, project, given):
    runs = Runs(tracking.uri, tmp_path, project)
    runs.project = f"file://{repository}#projects/{project}"
    if given.get("entry") == "summarizer":
        given = {**given, "source": build(tmp_path / "t5")}

    status, output, run = runs.run(f"{project} {given.get('entry', 'main')} from git", **given)

    assert status == 0, output
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.source.git.commit"] == git(repository, "rev-parse", "HEAD")
