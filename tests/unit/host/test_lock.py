"""Locks are held against the .in files that they come from."""

import pytest

from host import lock


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one service, whose locks are up to date."""
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    monkeypatch.setattr(lock, "DEV", tmp_path / "requirements-dev.in")
    (tmp_path / "services" / "one").mkdir(parents=True)
    (tmp_path / "host").mkdir()
    for source in (*lock.sources(), tmp_path / "services" / "one" / "requirements.in"):
        source.write_text("uv\n")
    for source in lock.sources():
        head = lock.HEADER.format(source=source.name, digest=lock._inputs(source))
        lock.lock_of(source).write_text(head)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_fresh_locks_are_not_stale():
    assert len(lock.sources()) == 4
    assert lock.stale() == []


def test_changed_source_makes_its_own_lock_and_the_common_one_stale(project):
    (project / "services" / "one" / "requirements.in").write_text("uv\npip\n")
    stale = "\n".join(lock.stale())
    assert "one/requirements.txt is not up to date: make lock" in stale
    assert "requirements-dev.txt" in stale
    assert "host/requirements.txt" not in stale


def test_an_environment_for_itself_does_not_decide_the_common_one(project):
    peer = project / "benchmarks" / "peers" / "one" / "requirements.in"
    peer.parent.mkdir(parents=True)
    peer.write_text("uv\n")
    assert lock.sources()[-1] == peer
    [line] = lock.stale()
    assert "peers/one/requirements.txt is not up to date: make lock" in line


def test_missing_lock_is_stale(project):
    lock.lock_of(project / "services" / "one" / "requirements.in").unlink()
    assert len(lock.stale()) == 1


def test_all_locks_of_the_project_are_up_to_date():
    assert lock.stale() == []
