"""Wrong parameters: one line, status 1, before anything is imported or recorded."""

import re
import subprocess
import sys

import pytest
import yaml

from summarizer import main
from tests.support import ROOT

PROJECT = ROOT / "projects" / "huggingface"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--precision", "half"),
        ("--model-name", "a/b"),
        ("--alias", "it's"),
        ("--promote", "maybe"),
        ("--colour", "red"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(option, value):
    command = [sys.executable, "summarizer.py", option, value]

    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"error: [^\n]*{option}[^\n]*\n", done.stderr)


def test_mlproject_and_the_command_line_have_the_same_parameters_and_defaults():
    project = yaml.safe_load((PROJECT / "MLproject").read_text())
    entry = project["entry_points"]["summarizer"]
    declared = {name: given["default"] for name, given in entry["parameters"].items()}

    assert declared == {option.name: option.default for option in main.params}
    for option in main.params:
        assert f"{option.opts[0]} {{{option.name}}}" in entry["command"]


def test_the_readme_has_every_parameter_with_its_default():
    section = (PROJECT / "README.md").read_text().partition("\n## summarizer\n")[2]

    for option in main.params:
        assert f"| `{option.name}` | `{option.default}` |" in section.partition("\n## ")[0]


def test_the_environment_has_the_versions_that_the_stack_is_tested_with():
    locked = (ROOT / "requirements-dev.txt").read_text()
    environment = yaml.safe_load((PROJECT / "python_env.yaml").read_text())

    assert "python" not in environment
    pinned = [needed for needed in environment["dependencies"] if "==" in needed]
    assert len(pinned) == len(environment["dependencies"]) - 1  # all but click
    for requirement in pinned:
        assert re.search(rf"^{re.escape(requirement)}( |$)", locked, re.MULTILINE), requirement
