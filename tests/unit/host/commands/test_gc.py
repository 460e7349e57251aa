"""`make gc` hands on what the user says, and says what to do where nothing runs."""

import pytest

from host.commands import gc
from host.modes import choice
from host.modes.choice import Selection
from host.user import options
from host.user.terminal import CommandError


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, []),
        ({"OLDER": "", "YES": "0"}, []),
        ({"OLDER": "30d", "YES": "1"}, ["--older-than=30d", "--yes"]),
    ],
)
def test_variables_become_arguments(said, expected):
    assert gc._arguments(options.read(said)) == expected


@pytest.mark.parametrize(
    ("unasked", "said"), [("", "start it with make up"), ("Docker could not be asked", "Docker")]
)
def test_a_stack_that_does_not_run_is_said(monkeypatch, unasked, said):
    monkeypatch.setattr(choice, "running", lambda _: Selection([], unasked))
    with pytest.raises(CommandError, match=said):
        gc.main(options.read({}))
