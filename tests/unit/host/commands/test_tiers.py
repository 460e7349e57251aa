"""`make test`: the compose tier beside the others, and what tests may wait for."""

import fcntl
import os
import threading

import pytest

from host.commands import test
from host.user import options


def may_measure() -> bool:
    """Whether a test that wants the machine for itself would begin."""
    with test.WORKING.open() as others:
        try:
            fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """What ran, and whether it lets containers go first; compose ends after unit."""
    begun, others_end = [], threading.Event()

    def timed(tier, _, output=None, *, yielding=False):
        begun.append((tier, yielding))
        if tier == "unit":
            assert not may_measure()
            others_end.set()
        if output:
            assert others_end.wait(10)
            output.write("what compose printed")
            output.flush()
        return test.Outcome(tier, "passed", 1)

    monkeypatch.setattr(test, "_timed", timed)
    monkeypatch.setattr(test, "LOCAL", tmp_path)
    monkeypatch.setattr(test, "BESIDE", tmp_path / "log")
    monkeypatch.setattr(test, "WORKING", tmp_path / "others")
    monkeypatch.setattr(test, "shown", str)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    return begun


def outcomes(chosen: list[str]) -> list[str]:
    return [outcome.tier for outcome in test._outcomes(chosen, options.read({}))]


def test_the_compose_tier_begins_first_and_is_shown_last(ran, monkeypatch, capsys):
    monkeypatch.setattr(test.readiness, "why_no_stack", lambda: "")

    assert outcomes(["unit", "integration", "compose"]) == ["unit", "integration", "compose"]

    assert sorted(ran) == [("compose", False), ("integration", True), ("unit", True)]
    assert capsys.readouterr().out.rstrip().endswith("what compose printed")
    assert may_measure()


def test_on_two_cores_one_tier_runs_after_the_other(ran, monkeypatch):
    monkeypatch.setattr(test.readiness, "why_no_stack", lambda: "")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(test, "_timed", lambda tier, _, **__: ran.append(tier))

    list(test._outcomes(["integration", "compose"], options.read({})))

    assert ran == ["integration", "compose"]


def test_without_an_engine_it_says_why(ran, monkeypatch):
    monkeypatch.setattr(test.readiness, "why_no_stack", lambda: "no engine")
    ran_last = list(test._outcomes(["integration", "compose"], options.read({})))[-1]
    assert (ran_last.verdict, ran_last.reason) == ("NOT RUN", "no engine")
    assert ran == [("integration", False)]
