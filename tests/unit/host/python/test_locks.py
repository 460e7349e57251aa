"""Locks are held against the .in files that they come from."""

import pytest

from host.python import locks


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one service, whose locks are up to date."""
    monkeypatch.setattr(locks, "ROOT", tmp_path)
    monkeypatch.setattr(locks, "DEV", tmp_path / "requirements-dev.in")
    (tmp_path / "services" / "one").mkdir(parents=True)
    (tmp_path / "host").mkdir()
    for source in (*locks.sources(), tmp_path / "services" / "one" / "requirements.in"):
        source.write_text("uv\n")
    for source in locks.sources():
        head = locks.HEADER.format(source=source.name, digest=locks.digest(source))
        locks.lock_of(source).write_text(head)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_fresh_locks_are_not_stale():
    assert len(locks.sources()) == 4
    assert locks.stale() == []


def test_changed_source_makes_its_own_lock_and_the_common_one_stale(project):
    (project / "services" / "one" / "requirements.in").write_text("uv\npip\n")
    stale = "\n".join(locks.stale())
    assert "one/requirements.txt is not up to date: make lock" in stale
    assert "requirements-dev.txt" in stale
    assert "host/requirements.txt" not in stale


def test_an_environment_for_itself_does_not_decide_the_common_one(project):
    peer = project / "benchmarks" / "peers" / "one" / "requirements.in"
    peer.parent.mkdir(parents=True)
    peer.write_text("uv\n")
    assert locks.sources()[-1] == peer
    [line] = locks.stale()
    assert "peers/one/requirements.txt is not up to date: make lock" in line


def test_missing_lock_is_stale(project):
    locks.lock_of(project / "services" / "one" / "requirements.in").unlink()
    assert len(locks.stale()) == 1


def test_all_locks_of_the_project_are_up_to_date():
    assert locks.stale() == []
