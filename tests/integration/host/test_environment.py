"""The virtual environment of a checkout: made once, made again where it has to be."""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest

from harness.processes import clean_environment
from host.paths import ROOT

ENSURE = "from host.python import environment; environment.ensure((environment.ROOT / 'tiny.txt',))"


class Place:
    """A folder with the host tools and one small lock."""

    def __init__(self, folder):
        self.folder = folder
        self.venv = folder / ".venv"
        self.stamp = self.venv / "mlflow-stack.json"
        self.lock = folder / "tiny.txt"

    def start(self, python=sys.executable):
        return subprocess.Popen(
            [python, "-c", ENSURE],
            cwd=self.folder,
            env={**clean_environment(), "PYTHONPATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ensure(self, status=0):
        """Output of making the environment."""
        with self.start() as process:
            output = process.communicate(timeout=240)[0]
        assert process.returncode == status, output
        return output

    def holds(self, package):
        command = [self.venv / "bin" / "python", "-c", f"import {package}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A place whose environment is there."""
    place = Place(tmp_path_factory.mktemp("a place") / "first")
    shutil.copytree(ROOT / "host", place.folder / "host")
    locked = (ROOT / "requirements-dev.txt").read_text().split("iniconfig==")[1].split("    #")[0]
    place.lock.write_text(f"iniconfig=={locked}")
    place.ensure()
    return place


@pytest.fixture
def place(made, tmp_path):
    """The same, for one test to spoil."""
    shutil.copytree(made.folder, tmp_path / "first", symlinks=True)
    place = Place(tmp_path / "first")
    stamp = json.loads(place.stamp.read_text())
    place.stamp.write_text(json.dumps({**stamp, "location": str(place.venv)}))
    return place


def test_it_holds_what_the_lock_names(made):
    assert made.holds("iniconfig")


def test_second_call_says_and_changes_nothing(made):
    before = made.stamp.stat().st_mtime_ns
    assert made.ensure() == ""
    assert made.stamp.stat().st_mtime_ns == before


def test_another_lock_is_installed(place):
    place.lock.write_text(place.lock.read_text() + "\n# changed\n")
    assert "installing tiny.txt" in place.ensure()
    assert place.ensure() == ""


def test_moved_checkout_gets_a_new_one(place):
    moved = Place(place.folder.rename(place.folder.with_name("second")))
    assert "creating .venv" in moved.ensure()
    assert moved.holds("iniconfig")


@pytest.mark.parametrize("broken", ["bin/python", "bin/uv", "mlflow-stack.json"])
def test_broken_one_is_made_anew(place, broken):
    path = place.venv / broken
    path.unlink()
    if broken == "mlflow-stack.json":
        path.write_text("{")
    assert "creating .venv" in place.ensure()
    assert place.holds("iniconfig")


@pytest.mark.parametrize("moment", ["creating .venv", "installing uv", "installing tiny.txt"])
def test_interrupted_one_is_repaired_by_the_next_call(place, moment):
    shutil.rmtree(place.venv)
    with place.start() as process:
        for line in process.stdout:
            if moment in line:
                process.send_signal(signal.SIGKILL)
    place.ensure()
    assert place.holds("iniconfig")


def test_folder_that_was_made_and_not_stamped_is_ours(place):
    shutil.rmtree(place.venv)
    place.venv.mkdir()
    place.ensure()
    assert place.holds("iniconfig")


def test_two_commands_at_once_do_not_disturb_each_other(place):
    shutil.rmtree(place.venv)
    with place.start() as one, place.start() as other:
        outputs = [one.communicate(timeout=240)[0], other.communicate(timeout=240)[0]]
    assert (one.returncode, other.returncode) == (0, 0), outputs
    assert sum("creating .venv" in output for output in outputs) == 1


def test_environment_of_somebody_else_is_left_alone(place):
    place.stamp.unlink()
    before = sorted(place.venv.iterdir())
    assert "was not made by this project" in place.ensure(status=1)
    assert sorted(place.venv.iterdir()) == before


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_no_folder_of_ours_is_named_and_left_alone(place, kind):
    kept = place.venv.rename(place.folder / "kept")
    kept.with_name("other").touch()
    target = {"file": "other", "link": "kept", "dangling link": "gone"}[kind]
    if kind == "file":
        kept.with_name(target).rename(place.venv)
    else:
        place.venv.symlink_to(target)
        (kept / "bin" / "uv").unlink()
    assert re.search("CommandError: .* was not made by this project", place.ensure(status=1))
    assert place.venv.is_symlink() or place.venv.is_file()


def test_wrong_hash_is_refused(place):
    place.lock.write_text(f"iniconfig==2.3.0 --hash=sha256:{'0' * 64}\n")
    shutil.rmtree(place.venv)
    assert "installing tiny.txt: uv ended with" in place.ensure(status=1)
    assert not place.holds("iniconfig")
