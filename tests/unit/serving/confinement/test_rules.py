"""What a confined process may read: libraries, what it is given, and nothing that is kept."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from model_server.confinement import landlock, quarters, seccomp
from model_server.confinement.confine import lacking
from model_server.confinement.rules import rules
from model_server.errors import LoadError
from model_server.models.launch import Launch
from model_server.models.target import Target
from model_server.options import Options
from model_server.settings import Settings


def readable(*paths: Path, **more) -> set[str]:
    return set(rules(paths, **more).readable)


def test_libraries_and_what_is_given_are_read(tmp_path):
    paths = readable(tmp_path)
    assert {str(tmp_path), sys.prefix, sys.base_prefix, "/usr"} <= paths


def test_what_is_not_there_is_left_out(tmp_path):
    rights = rules([tmp_path])
    assert all(Path(path).exists() for path in (*rights.readable, *rights.devices))


def test_another_interpreter_brings_its_own_libraries(tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    paths = readable(python=str(environment / "bin" / "python"))
    base = (environment / "bin" / "python").resolve().parents[1]
    assert {str(environment), str(base)} <= paths


@pytest.mark.parametrize("folder", ["/", "."])
def test_neither_everything_nor_the_folder_of_the_start_is_a_library(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(folder).resolve()))
    rights = rules([])
    assert not {"/", str(tmp_path)} & {*rights.readable, *rights.listable}


def test_a_folder_of_libraries_is_opened_around_what_is_kept_in_it(monkeypatch, tmp_path):
    for name in ("a.py", "secrets/token", "package/b.py", "package/cache/c", "package/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "secrets")
    monkeypatch.syspath_prepend(tmp_path)
    rights = rules([], kept=[tmp_path / "secrets", tmp_path / "package" / "cache"])
    within = {Path(path).relative_to(tmp_path) for path in rights.readable if str(tmp_path) in path}
    assert within == {Path("a.py"), Path("package/b.py"), Path("package/d.py")}
    assert str(tmp_path) in rights.listable


def test_the_servers_own_files_are_kept(tmp_path):
    for name in ("token", "metrics", "login"):
        (tmp_path / name).write_text("user:a")
    settings = Settings(
        models="a=/b",
        cache=tmp_path / "cache",
        token_file=tmp_path / "token",
        metrics_token_file=tmp_path / "metrics",
        tracking_login_file=tmp_path / "login",
    )
    names = {path.name for path in quarters.kept(settings)}
    assert names == {"cache", "tokens.json", "token", "metrics", "login"}


def test_a_home_is_the_process_s_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    home = quarters.move_in(Settings(models="a=/b", cache=tmp_path / "cache"), [])
    assert home.variables["HOME"] == home.variables["TMPDIR"] == str(home.folder)
    (home.folder / "closed").mkdir(0o000)
    home.leave()
    assert not home.folder.exists()


def test_what_earlier_processes_left_is_removed(tmp_path):
    settings = Settings(models="a=/b", cache=tmp_path)
    left = quarters.move_in(settings, []).folder
    (left / "closed").mkdir()
    (left / "closed").chmod(0)
    quarters.tidy(settings)
    assert not left.exists()


def test_what_the_machine_lacks_is_told(monkeypatch):
    assert lacking() == []
    monkeypatch.setattr(landlock, "version", lambda: 4)
    assert "6.12" in lacking()[0]
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "library", lambda: None)
    assert len(lacking()) == 2
    monkeypatch.setattr(sys, "platform", "darwin")
    (only,) = lacking()
    assert "darwin" in only


def test_where_it_is_required_and_lacking_nothing_is_served(monkeypatch, tmp_path):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    settings = Settings(models="a=/b", cache=tmp_path / "cache", confinement="required")
    target = Target("a", "1", str(tmp_path), "x", "a test")
    launch = Launch(target, tmp_path, settings, Options(), None)
    with pytest.raises(LoadError, match=r"SERVING_CONFINEMENT.*Landlock"):
        asyncio.run(launch())
