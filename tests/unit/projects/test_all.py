"""What holds for every example project."""

import re
import shutil
from collections import Counter

import pytest
import yaml

from harness.projects import PROJECTS, names
from host.paths import ROOT
from host.python import copies

EACH = pytest.mark.parametrize("project", names())


def parameters(project):
    """(command, name, type, default or "") of each parameter of each entry point."""
    described = yaml.safe_load((PROJECTS / project / "MLproject").read_text())
    for entry in described["entry_points"].values():
        for name, parameter in entry.get("parameters", {}).items():
            parameter = {"type": parameter} if isinstance(parameter, str) else parameter
            yield entry["command"], name, parameter["type"], str(parameter.get("default", ""))


@EACH
def test_every_parameter_has_a_type_and_reaches_the_command(project):
    for command, name, kind, _ in parameters(project):
        assert kind in ("string", "float"), name
        assert f"{{{name}}}" in command


@EACH
def test_the_readme_has_every_parameter_with_its_default(project):
    readme = (PROJECTS / project / "README.md").read_text()

    for _, name, _, default in parameters(project):
        if default:
            assert f"| `{name}` | `{default}` |" in readme, name


@EACH
def test_its_environment_has_the_versions_that_the_stack_is_tested_with(project):
    locked = (ROOT / "requirements-dev.txt").read_text()
    environment = yaml.safe_load((PROJECTS / project / "python_env.yaml").read_text())

    assert "python" not in environment
    pinned = [needed for needed in environment["dependencies"] if "==" in needed]
    assert pinned
    for requirement in pinned:
        assert re.search(rf"^{re.escape(requirement)}( |$)", locked, re.MULTILINE), requirement


def test_no_project_needs_a_link_or_another_folder():
    assert [path for path in PROJECTS.rglob("*") if path.is_symlink()] == []
    assert copies.stale(fix=False) == []


def test_a_copy_that_differs_is_named_and_mended(monkeypatch, tmp_path):
    shutil.copytree(PROJECTS, tmp_path / "projects")
    monkeypatch.setattr(copies, "PROJECTS", tmp_path / "projects")
    monkeypatch.setattr(copies, "ROOT", tmp_path)
    (tmp_path / "projects" / "tuning" / "common" / "split.py").write_text("")
    shutil.copy(copies.ORIGINAL / "split.py", tmp_path / "projects" / "validation" / "common")

    assert [line.partition(" ")[0] for line in copies.stale(fix=False)] == [
        "projects/tuning/common",
        "projects/validation/common",
    ]
    assert copies.stale(fix=True) == copies.stale(fix=False) == []


def test_modules_have_names_of_their_own():
    """They import each other by bare names, and some day one imports another project's."""
    modules = [path.name for project in names() for path in (PROJECTS / project).glob("*.py")]

    assert [name for name, count in Counter(modules).items() if count > 1] == []
