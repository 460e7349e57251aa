"""Wrong parameters: one line, status 1, before anything is imported or recorded."""

import re
import subprocess
import sys

import pytest
import yaml

from tests.support import ROOT
from triage import main

PROJECT = ROOT / "projects" / "huggingface"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--C", "much"),
        ("--C", "0"),
        ("--C", "nan"),
        ("--test-size", "1"),
        ("--seed", "1.5"),
        ("--model-name", "a/b"),
        ("--alias", "it's"),
        ("--promote", "maybe"),
        ("--colour", "red"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(option, value):
    command = [sys.executable, "triage.py", option, value]

    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"error: [^\n]*{option}[^\n]*\n", done.stderr)


def test_mlproject_and_the_command_line_have_the_same_parameters_and_defaults():
    project = yaml.safe_load((PROJECT / "MLproject").read_text())
    entry = project["entry_points"]["main"]
    declared = {name: given["default"] for name, given in entry["parameters"].items()}

    assert declared == {option.name: option.default for option in main.params}
    for option in main.params:
        assert f"{option.opts[0]} {{{option.name}}}" in entry["command"]


def test_the_readme_has_every_parameter_with_its_default():
    readme = (PROJECT / "README.md").read_text()

    for option in main.params:
        assert f"| `{option.name}` | `{option.default}` |" in readme
