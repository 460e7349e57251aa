"""The same commands and options in script, MLproject and README; wrong ones get one line."""

import re
import subprocess
import sys

import click
import pytest
import yaml

import registry
from common.command_line import run
from host.paths import ROOT

PROJECT = ROOT / "projects" / "registry"
COMMANDS = registry.main.commands
ENTRIES = yaml.safe_load((PROJECT / "MLproject").read_text())["entry_points"]


def flag(parameter: click.Parameter) -> str:
    """What the parameter is called by those who use it."""
    return parameter.opts[0].removeprefix("--")


def said(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["registry.py", *arguments])
    status = run(registry.main)
    return status, *capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["promte"], "No such command 'promte'"),
        (["promote", "wine"], "Missing argument 'VERSION'"),
        (["promote", "wine", "3", "--target", "kind"], "Missing option '--data'"),
        (
            ["promote", "wine", "3", "--data", "d", "--target", "t", "--min", "most"],
            "--min.*'most'",
        ),
        (["promote", "wine", "3", "--data", "d", "--target", "t", "--min", "nan"], "--min.*'nan'"),
        (["promote", "wine", "3", "--data", "d", "--target", "t", "--promote", "x"], "--promote"),
        (["promote", "wine", "3", "--data", "d", "--target", "t", "--alias", "a b"], "--alias"),
        (["compare", "wine", "1", "2", "--data", "d", "--target", "t", "--kind", "x"], "--kind"),
        (["create", ""], "'NAME': ''"),
        (["create", "a/b"], "'NAME': 'a/b'"),
        (["copy", "wine/1", "a/b"], "'TARGET': 'a/b'"),
        (["show", ""], "NAME is empty"),
        (["delete", "wine", " "], "VERSION is empty"),
        (["delete", "wine", "3", "--force", "perhaps"], "--force.*'perhaps' is not true or false"),
        (["delete", "--force", "wine", "3"], "--force.*'wine' is not true or false"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(monkeypatch, capsys, arguments, words):
    status, out, err = said(monkeypatch, capsys, *arguments)

    assert status == 1
    assert out == ""
    assert re.fullmatch(rf"error: [^\n]*{words}[^\n]*\n", err)


def test_help_lists_the_commands_in_their_order_without_importing_mlflow():
    code = "import sys, registry; registry.main(['--help'], standalone_mode=False); "
    code += "assert 'mlflow' not in sys.modules"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    commands = done.stdout.partition("Commands:")[2]
    listed = re.findall(r"^  ([a-z-]+)  ", commands, re.MULTILINE)
    assert listed == list(COMMANDS)
    assert "..." not in commands


def test_without_a_command_there_is_help(monkeypatch, capsys):
    status, out, err = said(monkeypatch, capsys)

    assert (status, err) == (0, "")
    assert "delete-model" in out


@pytest.mark.parametrize(
    ("options", "forced"),
    [([], False), (["--force"], True), (["--force", "true"], True), (["--force=false"], False)],
)
def test_force_is_a_flag_on_the_command_line_and_a_word_in_mlproject(options, forced):
    context = COMMANDS["delete"].make_context("delete", ["wine", "3", *options])

    assert context.params["force"] is forced


def test_every_command_is_an_entry_point_with_the_same_parameters_and_defaults():
    assert ENTRIES.keys() - {"main"} == COMMANDS.keys() - {"list"}
    assert ENTRIES["main"] == {"command": "python registry.py list"}
    for name in COMMANDS.keys() - {"list"}:
        entry, parameters = ENTRIES[name], COMMANDS[name].params
        declared = {each: spec.get("default") for each, spec in entry["parameters"].items()}
        expected = {
            flag(each): None if each.required else str(each.default).replace("False", "false")
            for each in parameters
        }
        assert declared == expected, name
        words = [f"python registry.py {name}"]
        for each in sorted(parameters, key=lambda each: isinstance(each, click.Option)):
            option = f"--{flag(each)} " if isinstance(each, click.Option) else ""
            words.append(f"{option}{{{flag(each)}}}")
        assert sorted(entry["command"].split()) == sorted(" ".join(words).split()), name


def test_the_readme_has_every_command_and_every_option_with_its_default():
    readme = (PROJECT / "README.md").read_text()

    for name, command in COMMANDS.items():
        assert f"| `{name}" in readme
        for each in command.params:
            if isinstance(each, click.Option) and not each.required:
                default = str(each.default).replace("False", "false")
                shown = f"`{default}`" if default else ""
                assert re.search(rf"\| `{flag(each)}` \| {shown} ?\|", readme), (name, flag(each))
