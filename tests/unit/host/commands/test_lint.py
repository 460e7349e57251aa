"""Which files are the project's."""

import shutil
import subprocess

import pytest

from host.commands import lint
from host.paths import ROOT
from host.user.terminal import CommandError


@pytest.mark.parametrize("repository", ["", "outer", "outer/build/checkout"])
def test_files_are_those_that_the_projects_own_gitignore_leaves(monkeypatch, tmp_path, repository):
    root = tmp_path / "outer" / "build" / "checkout"
    ignored = ("secrets/kek", ".venv/c.py", "x/build/d.py", ".local/e.py", "mlruns/f.yaml", ".env")
    for name in ("host/a.py", "services/secrets/b.py", *ignored):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    shutil.copy(ROOT / ".gitignore", root)
    (tmp_path / "outer" / ".gitignore").write_text("build/\n")
    if repository:
        subprocess.run(["git", "init", "--quiet", tmp_path / repository], check=True)
    monkeypatch.setattr(lint, "ROOT", root)
    monkeypatch.setenv("GIT_INDEX_FILE", "elsewhere")  # as in a hook of git's
    files = [str(path.relative_to(root)) for path in lint.project_files()]
    assert files == [".gitignore", "host/a.py", "services/secrets/b.py"]


def test_without_git_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="install git"):
        lint.project_files()
