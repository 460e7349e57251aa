"""The programs that the projects' entry points call: wrong parameters cost one line and status 1,
before anything is imported or recorded."""

import importlib
import re
import subprocess
import sys

import pytest
import yaml

from harness.projects import PROJECTS, importable

EVERYWHERE = [
    ("--model-name", "a/b"),
    ("--model-name", ""),
    ("--alias", "it's"),
    ("--alias", "latest"),
    ("--alias", "V2"),
    ("--promote", "maybe"),
    ("--colour", "red"),
]
SPLIT = [("--test-size", "1"), ("--seed", "1.5"), ("--seed", "-1")]
STRENGTH = [("--C", "much"), ("--C", "0"), ("--C", "nan"), ("--C", "1e400")]
SEARCH = [
    ("--trials", "0"),
    ("--trials", "many"),
    ("--workers", "0"),
    ("--workers", "1.5"),
    ("--study", "it's"),
    ("--study", ""),
]
PROGRAMS = {
    ("wine", "main", "train"): [*STRENGTH, *SPLIT],
    ("tuning", "main", "tune"): [*SEARCH, *SPLIT],
    ("huggingface", "main", "triage"): [*STRENGTH, *SPLIT],
    ("huggingface", "summarizer", "summarizer"): [("--precision", "half")],
}
"""By project, entry point and module, what only this program refuses."""


@pytest.mark.parametrize(
    ("project", "module", "option", "value"),
    [
        (project, module, *wrong)
        for (project, _, module), own in PROGRAMS.items()
        for wrong in [*own, *EVERYWHERE]
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(project, module, option, value):
    command = [sys.executable, f"{module}.py", option, value]

    done = subprocess.run(
        command, cwd=PROJECTS / project, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(rf"error: [^\n]*{option}[^\n]*\n", done.stderr)


@pytest.mark.parametrize(("project", "entry", "module"), PROGRAMS)
def test_mlproject_and_the_command_line_have_the_same_parameters_and_defaults(
    project, entry, module
):
    importable(project)
    described = yaml.safe_load((PROJECTS / project / "MLproject").read_text())
    entry_point = described["entry_points"][entry]
    declared = {name: parameter["default"] for name, parameter in entry_point["parameters"].items()}
    options = importlib.import_module(module).main.params

    assert declared == {option.name: option.default for option in options}
    for option in options:
        assert f"{option.opts[0]} {{{option.name}}}" in entry_point["command"]
