"""The command line: what is refused, what passes and fails, and what is said."""

import re
import subprocess
import sys

import pytest
import yaml

import then_train
import validate
from harness.processes import clean_environment
from host.paths import ROOT

PROJECT = ROOT / "projects" / "validation"
ENTRY_POINTS = {"main": validate.main, "train": then_train.main}


def run(*arguments: object, script: str = "validate.py") -> subprocess.CompletedProcess:
    """The script as a user runs it; a server that is not there must not be needed."""
    environment = clean_environment(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_line(done: subprocess.CompletedProcess, *said: str) -> None:
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == done.stderr.splitlines(), done.stderr
    assert len(errors) == 1
    assert len(errors[0]) < 500
    for text in said:
        assert text in errors[0]


@pytest.mark.parametrize("script", ["validate.py", "then_train.py"])
def test_help_is_there(script):
    done = run("--help", script=script)

    assert done.returncode == 0
    assert "--max-errors" in done.stdout


@pytest.mark.parametrize(
    ("script", "arguments", "named"),
    [
        ("validate.py", (), "--filename"),
        ("validate.py", ("--filename", "x", "--max-errors", "-1"), "--max-errors"),
        ("validate.py", ("--filename", "x", "--max-errors", "few"), "--max-errors"),
        ("validate.py", ("--filename", "x", "--log", "maybe"), "--log"),
        ("then_train.py", ("--filename", "x", "--env-manager", "conda"), "--env-manager"),
        ("then_train.py", ("--filename", "x", "--model-name", "a/b"), "--model-name"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_line(script, arguments, named):
    assert_one_line(run(*arguments, script=script), named)


@pytest.mark.parametrize(("allowed", "status"), [(2, 1), (3, 0)])
def test_max_errors_decides_and_without_log_no_server_is_needed(allowed, status):
    done = run("--filename", "data/carriage.csv", "--log", "false", "--max-errors", allowed)

    assert done.returncode == status
    assert f"findings   3 ({allowed} allowed)" in done.stdout
    assert r"carriage_returns: row 7, column 'remark': 'fog until noon\rthen sun'" in done.stdout
    assert ("validated" in done.stdout) == (status == 0)
    if status:
        assert_one_line(done, "data/carriage.csv: 3 findings, 2 allowed: carriage_returns 3")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file"),
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe\0", "not"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a,b\n", "no_rows"),
        (b"a\n1\n2\n", "one_column"),
        (b'a,b\n1,2\n3,"fo', "unterminated_quotes"),
    ],
    ids=["missing", "empty", "binary", "utf-16", "no rows", "one column", "truncated"],
)
def test_a_file_that_nothing_can_learn_from_is_one_line_whatever_is_allowed(
    tmp_path, content, words
):
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content)

    assert_one_line(run("--filename", path, "--max-errors", 99, "--log", "false"), words)


def test_ten_thousand_columns_are_looked_at(tmp_path):
    (path := tmp_path / "wide.csv").write_text(
        ",".join(f"c{number}" for number in range(10_000))
        + "".join("\n" + ",".join(f"{row}{number}" for number in range(10_000)) for row in "123")
    )

    done = run("--filename", path, "--log", "false")

    assert done.returncode == 0, done.stderr
    assert "3 rows, 10,000 columns" in done.stdout


def test_a_file_passes_the_schema_that_was_learned_from_it(tmp_path):
    values = ["inf", "-9223372036854775808", "1e300", "12", str(2**63), str(2**64)]
    (path := tmp_path / "odd.csv").write_text(
        "huge,whole\n" + "".join(f"{value},{row}\n" for row, value in enumerate(values))
    )
    schema = tmp_path / "schema.yaml"
    options = ("--filename", path, "--log", "false", "--max-errors", 0)

    assert run(*options, "--save-schema", schema).returncode == 0
    done = run(*options, "--schema", schema)

    assert (done.returncode, done.stderr) == (0, "")


def test_rows_that_a_schema_would_drop_are_found(tmp_path):
    schema = tmp_path / "schema.yaml"
    clean = ("--filename", PROJECT / "data" / "clean.csv", "--log", "false")
    assert run(*clean, "--save-schema", schema).returncode == 0
    text = schema.read_text()
    schema.write_text(re.sub("drop_invalid_rows: false", "drop_invalid_rows: true", text))
    (path := tmp_path / "bad.csv").write_text(
        (PROJECT / "data" / "clean.csv").read_text().replace(",", ",9999", 3)
    )

    assert "schema" in run("--filename", path, "--log", "false", "--schema", schema).stderr


def test_a_schema_that_is_none_is_refused():
    done = run("--filename", "data/clean.csv", "--log", "false", "--schema", "data/carriage.csv")

    assert_one_line(done, "schema: 'data/carriage.csv' is none")


@pytest.mark.parametrize(("entry", "command"), ENTRY_POINTS.items())
def test_mlproject_the_command_line_and_the_readme_have_the_same_parameters(entry, command):
    project = yaml.safe_load((PROJECT / "MLproject").read_text())["entry_points"][entry]
    readme = (PROJECT / "README.md").read_text()

    assert list(project["parameters"]) == [option.name for option in command.params]
    for option in command.params:
        parameter = project["parameters"][option.name]
        assert f"{option.opts[0]} {{{option.name}}}" in project["command"]
        if option.required:
            assert parameter == "string"
            assert f"| `{option.name}` | |" in readme
        else:
            assert str(parameter["default"]) == str(option.default).lower()
            assert f"| `{option.name}` | `{str(option.default).lower()}` |" in readme
