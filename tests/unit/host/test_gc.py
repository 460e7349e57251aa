"""`make gc` hands on what the user says, and says what to do where nothing runs."""

import pytest

from host import gc, modes
from host.modes import Found
from host.terminal import StackError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["gc"]),
        ({"OLDER": "", "YES": "0"}, ["gc"]),
        ({"OLDER": "30d", "YES": "1"}, ["gc", "--older-than=30d", "--yes"]),
    ],
)
def test_variables_become_arguments(monkeypatch, given, expected):
    for name in ("OLDER", "YES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert gc._arguments() == expected


@pytest.mark.parametrize(
    ("unasked", "said"), [("", "start it with make up"), ("Docker could not be asked", "Docker")]
)
def test_a_stack_that_does_not_run_is_said(monkeypatch, unasked, said):
    monkeypatch.setattr(modes, "running", lambda _: Found([], unasked))
    with pytest.raises(StackError, match=said):
        gc.main()
