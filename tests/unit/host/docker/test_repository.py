"""Whose files a backup's folder holds, which stacks can be backed up, who holds the lock."""

import os

import pytest

from host.docker import project, repository
from host.docker.repository import Place
from host.modes import choice, compose
from host.modes.choice import Choice
from host.user.terminal import CommandError


@pytest.fixture
def owned(monkeypatch):
    """Root calls; who is given what is recorded: path and user."""
    owners = {}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, *_, **__: owners.update({str(path): user}))
    return owners


@pytest.fixture
def made(tmp_path):
    """A folder that holds a repository."""
    for part in ("data/00", "index", "keys", "locks", "snapshots"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "config").touch()
    (tmp_path / "data/00/pack").touch()
    return tmp_path


def place(folder):
    return Place("TO", "", folder, str(folder))


@pytest.mark.parametrize("files", [["photo.jpg"], ["config"], ["data/a"], ["keys/k", "data/a"]])
@pytest.mark.parametrize("look", [repository.make_folder, repository.need_folder])
def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path, owned, look, files):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(CommandError, match="no backup"):
        look(place(tmp_path))
    assert owned == {}


def test_an_empty_folder_and_a_beginning_of_a_repository_are_taken(tmp_path, owned):
    repository.make_folder(place(tmp_path / "new"))
    (tmp_path / "begun" / "data" / "00").mkdir(parents=True)
    repository.make_folder(place(tmp_path / "begun"))
    assert str(tmp_path / "new") in owned


def test_what_lies_beside_a_repository_is_not_given_away(made, owned):
    (made / "notes.txt").touch()
    os.chown(made / "config", 0, 0)
    repository.need_folder(place(made))
    assert str(made / "notes.txt") not in owned


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_repository_stays_its_owners_where_root_calls(made):
    os.chown(made / "config", 1234, 1234)
    repository.need_folder(place(made))
    assert repository.user(made) == 1234
    assert {path.stat().st_uid for path in made.rglob("*")} == {1234}
    assert made.stat().st_uid == 1234


def test_a_medium_that_is_read_only_is_read(made, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(repository, "user", lambda _: 4321)
    monkeypatch.setattr(os, "chown", refuse)
    repository.need_folder(place(made))
    with pytest.raises(CommandError, match="Read-only file system"):
        repository.make_folder(place(made))


@pytest.mark.parametrize("command", ["backup", "backup-verify", "restore"])
def test_servers_of_the_teams_own_are_refused_at_once(monkeypatch, command):
    servers = [project.Server("PostgreSQL at db.lan:5432, database runs", "db.lan", 5432)]
    monkeypatch.setattr(choice, "choose", lambda _: Choice(compose, "", True))
    monkeypatch.setattr(project, "servers", lambda: servers)
    with pytest.raises(CommandError) as refused:
        choice.need_backups(command)
    assert str(refused.value) == (
        f"make {command} knows the stack's own servers alone, not PostgreSQL at db.lan:5432, "
        "database runs: see docs/external.md"
    )


def test_a_container_holds_the_lock_that_it_works_under(docker):
    """It may outlive a `make` that is killed."""
    docker("for one in /proc/$$/fd/*; do /bin/readlink $one; done; echo '{}'")
    with repository.alone():
        assert repository.__file__ in repository.run("verify", "verifying")
        repository.ask("holds", "looking")
    assert repository.__file__ not in repository.run("verify", "verifying")
