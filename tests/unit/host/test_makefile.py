"""`make` itself: what it offers, and how it finds an interpreter."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from host.__main__ import COMMANDS, main
from host.commands import down
from host.paths import ROOT


def make(*arguments, path=os.environ["PATH"]):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={"PATH": str(path), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def bare(tmp_path):
    """A PATH on which there is make, a shell and awk, and no Python."""
    for name in ("make", "sh", "awk"):
        (tmp_path / name).symlink_to(shutil.which(name))
    return tmp_path


def test_help_is_the_default_and_names_every_target(bare):
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    done = make(path=bare)
    assert done.returncode == 0
    assert re.findall(r"^  make (\S+) ", done.stdout, re.MULTILINE) == phony


def test_every_command_has_a_target():
    offered = re.findall(r"^  make (\S+) ", make().stdout, re.MULTILINE)
    assert set(COMMANDS) <= set(offered)


def test_what_ends_make_ends_its_command(tmp_path):
    """Make tells its own child alone: a shell in between would end, and the command go on."""
    python = tmp_path / "a python"
    python.write_text("#!/bin/sh\necho $$\nexec sleep 60\n")
    python.chmod(0o755)
    command = ["make", "--no-print-directory", f"PYTHON={python}", "up"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as making:
        pid = int(making.stdout.readline())
        making.terminate()
        assert making.wait(10) != 0
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("python3", [None, "exit 1"])
def test_machine_without_a_python_that_will_do(bare, python3):
    if python3:
        (bare / "python3").write_text(f"#!/bin/sh\n{python3}\n")
        (bare / "python3").chmod(0o755)
    done = make("doctor", path=bare)
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert "no Python 3.11 or newer found: install python3" in line
    assert "PYTHON=" in line


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("sys.version_info = (3, 8, 1)", "expected Python 3.11 or newer, found 3.8"),
        ("sys.platform = 'win32'", "expected Linux, macOS or WSL, found win32"),
    ],
)
def test_python_or_system_that_will_not_do_is_told_in_one_line(tmp_path, claim, said):
    """host/__init__.py does, here under an interpreter that claims to be another."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{claim}\n")
    done = subprocess.run(
        [shutil.which("python3"), "-c", "import host"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert said in line


def test_a_file_that_another_user_made_is_named_in_one_line(monkeypatch, capsys):
    def refuse(_):
        raise PermissionError(13, "Permission denied", "/there/.venv")

    monkeypatch.setattr(down, "main", refuse)
    monkeypatch.setattr("sys.argv", ["host", "down"])
    monkeypatch.setattr("host.user.interrupts.listen", lambda: None)
    assert main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mlflow-stack: /there/.venv: Permission denied: is it another user's?")


def test_host_tools_stand_on_the_standard_library():
    """Whatever Python there is runs them; but for one function, which `.venv`'s own runs."""
    imported = {
        (path.name, name)
        for path in (ROOT / "host").rglob("*.py")
        for name in re.findall(r"^ *(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    }
    others = {(file, name) for file, name in imported if name not in sys.stdlib_module_names}
    assert {(file, name) for file, name in others if name != "host"} == {
        ("licences.py", "packaging")
    }
