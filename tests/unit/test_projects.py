"""What holds for every example project."""

import re
from collections import Counter

import pytest
import yaml

from harness.projects import PROJECTS, names
from host.paths import ROOT

EACH = pytest.mark.parametrize("project", names())


def parameters(project):
    """(command, name, type, default or "") of each parameter of each entry point."""
    described = yaml.safe_load((PROJECTS / project / "MLproject").read_text())
    for entry in described["entry_points"].values():
        for name, given in entry.get("parameters", {}).items():
            given = {"type": given} if isinstance(given, str) else given
            yield entry["command"], name, given["type"], str(given.get("default", ""))


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


@EACH
def test_it_runs_from_wherever_its_folder_is(project):
    assert (PROJECTS / project / "common").readlink().as_posix() == "../common"


def test_modules_have_names_of_their_own():
    """They import each other by bare names, and some day one imports another project's."""
    modules = [path.name for project in names() for path in (PROJECTS / project).glob("*.py")]

    assert [name for name, count in Counter(modules).items() if count > 1] == []
