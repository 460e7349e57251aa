"""Which environments stay."""

import asyncio
import os
import time

import pytest

from model_server.environments import environments as module
from model_server.environments.environments import Environment, Environments
from model_server.environments.messages import MARKER, Fit
from model_server.errors import LoadError
from model_server.settings import Settings

DAY = 24 * 3600


@pytest.fixture
def keeper(tmp_path):
    return Environments(Settings(cache=tmp_path), {})


def make(tmp_path, name: str, days_ago: float) -> str:
    """An environment; its interpreter."""
    folder = tmp_path / "environments" / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / MARKER).touch()
    used = time.time() - days_ago * DAY
    os.utime(folder / MARKER, (used, used))
    return str(folder / "bin" / "python")


def names(tmp_path) -> set[str]:
    return {folder.name for folder in (tmp_path / "environments").iterdir()}


def test_what_is_used_or_was_lately_stays(keeper, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_AFTER", -1)
    used = make(tmp_path, "used", 9)
    make(tmp_path, "lately", 0.5)
    make(tmp_path, "unused", 1.5)
    (tmp_path / "environments" / "half").mkdir()
    asyncio.run(keeper.tidy({None, used}))
    assert names(tmp_path) == {"used", "lately"}


def test_what_was_used_until_now_stays_for_a_day(keeper, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_AFTER", -1)
    old = make(tmp_path, "old", 9)
    asyncio.run(keeper.tidy({old}))
    asyncio.run(keeper.tidy(set()))
    asyncio.run(keeper.tidy(set()))
    assert names(tmp_path) == {"old"}


def test_nothing_goes_right_after_a_start(keeper, tmp_path):
    make(tmp_path, "unused", 9)
    asyncio.run(keeper.tidy(set()))
    assert names(tmp_path) == {"unused"}


@pytest.mark.parametrize(
    ("python", "missing", "problem", "expected"),
    [
        (None, ["tiny"], "ModuleNotFoundError: No module named 'tiny'", True),
        (None, ["tiny"], "its own input example gets a 500: No module named 'tiny'", True),
        (None, ["tiny"], "a bug", False),
        (None, [], "ModuleNotFoundError: No module named 'tiny'", False),
        ("/own/bin/python", ["tiny"], "ModuleNotFoundError: No module named 'tiny'", False),
    ],
)
def test_second_try_is_for_what_is_known_to_be_missing(python, missing, problem, expected):
    environment = Environment(python, fit=Fit(missing=missing))
    assert environment.may_lack(LoadError(problem)) is expected
