"""Every project by a git URI, as somebody runs it who has no checkout; wine from wherever it is."""

import shutil
import subprocess
import zipfile

import pytest

from harness.projects import Runs, names
from harness.stack import copy_shipped_files
from harness.tiny_t5 import build

AUTHOR = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
PARAMS = {
    "huggingface": {"entry": "summarizer", "model_name": "summarizer-from-git"},
    "tuning": {"trials": 2, "model_name": "penguins-from-git"},
    "validation": {"filename": "data/clean.csv"},
    "wine": {"model_name": "wine-from-git"},
}
"""What makes each project's run short, what it cannot do without, and a name of its own."""


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
    ("project", "params"),
    [*((project, PARAMS.get(project, {})) for project in names()), ("validation", TRAIN)],
)
def test_every_project_runs_from_a_git_uri(tracking, repository, tmp_path, project, params):
    runs = Runs(tracking.uri, tmp_path, project)
    runs.project = f"file://{repository}#projects/{project}"
    if params.get("entry") == "summarizer":
        params = {**params, "source": build(tmp_path / "t5")}

    status, output, run = runs.run(f"{project} {params.get('entry', 'main')} from git", **params)

    assert status == 0, output
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.source.git.commit"] == git(repository, "rev-parse", "HEAD")


def cloned(repository, folder):
    """A clone as on Windows, where links are files that hold their target."""
    git(folder, "clone", "--quiet", "-c", "core.symlinks=false", repository, "clone")
    return folder / "clone" / "projects" / "wine"


def unzipped(repository, folder):
    """Python's zipfile makes no links."""
    git(repository, "archive", "--output", folder / "all.zip", "HEAD")
    with zipfile.ZipFile(folder / "all.zip") as archive:
        archive.extractall(folder)
    return folder / "projects" / "wine"


def copied(repository, folder):
    """`cp -r projects/wine mine`, and nothing beside it."""
    return shutil.copytree(repository / "projects" / "wine", folder / "mine", symlinks=True)


@pytest.mark.parametrize("taken", [cloned, unzipped, copied], ids=lambda way: way.__name__)
def test_wine_runs_from_wherever_its_folder_is(tracking, repository, tmp_path, taken):
    runs = Runs(tracking.uri, tmp_path, "wine")
    runs.project = taken(repository, tmp_path)

    status, output, run = runs.run(f"wine {taken.__name__}", model_name=f"wine-{taken.__name__}")

    assert status == 0, output
    assert run.info.status == "FINISHED"
