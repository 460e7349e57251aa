"""`make audit`, with the database's answers said by the test."""

import os

import pytest

from host.commands import audit
from host.python import environment, locks
from host.user import options

OWN, OLD = locks.DEV, locks.peers()[0]
GOOD = {"name": "good", "version": "1.0", "vulns": []}
BAD = {
    "name": "bad",
    "version": "2.0",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["2.0.1", "2.1"]},
        {"id": "PYSEC-2", "fix_versions": []},
    ],
}
STRANGE = {"name": "strange", "skip_reason": "Dependency not found"}


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs it on two locks, the product's and an old one: its status, and what it says."""
    monkeypatch.setattr(environment, "ensure", lambda _: None)
    monkeypatch.setattr(locks, "sources", lambda: [OWN, OLD])
    monkeypatch.delenv("AUDIT", raising=False)

    def ask(own: list[dict], old: list[dict]) -> tuple[int, str]:
        answers = {locks.lock_of(OWN): own, locks.lock_of(OLD): old}
        monkeypatch.setattr(audit, "_ask", answers.__getitem__)
        return audit.main(options.read(os.environ)), capsys.readouterr().out

    return ask


def test_without_a_hole_it_succeeds_and_names_what_is_not_in_the_database(run):
    status, said = run([GOOD, STRANGE], [GOOD])
    assert status == 0
    assert "not in the database: strange" in said


def test_a_hole_is_shown_with_the_version_that_mends_it_and_fails(run):
    status, said = run([GOOD, BAD], [GOOD])
    assert status == 1
    assert "bad 2.0: PYSEC-1, mended in 2.0.1, 2.1\n" in said
    assert "bad 2.0: PYSEC-2, mended in no version yet\n" in said


def test_a_hole_in_what_is_old_on_purpose_is_a_note(run):
    status, said = run([GOOD], [BAD])
    assert status == 0
    assert "old on purpose" in said
    assert "bad 2.0: PYSEC-1" in said


def test_accepted_holes_do_not_fail_and_others_still_do(run, monkeypatch):
    monkeypatch.setitem(audit.ACCEPTED, "PYSEC-1", "nothing here calls it")
    assert run([BAD], [GOOD])[0] == 1
    monkeypatch.setitem(audit.ACCEPTED, "PYSEC-2", "nor that")
    status, said = run([BAD], [GOOD])
    assert status == 0
    assert "PYSEC-1, mended in 2.0.1, 2.1 (accepted: nothing here calls it)" in said


@pytest.mark.parametrize(("asked", "status"), [("", 0), ("required", 1)])
def test_where_no_database_answers_it_says_so_and_fails_if_it_must_not(
    run, monkeypatch, asked, status
):
    monkeypatch.setenv("AUDIT", asked)
    outcome, said = run([STRANGE], [STRANGE])
    assert outcome == status
    assert "NOT AUDITED" in said
