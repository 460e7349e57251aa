"""Which environments stay."""

import asyncio
import os
import time

import pytest

from model_server.environments import environments as module
from model_server.environments.environments import Environment, Environments
from model_server.environments.messages import MARKER, Fit, Recipe
from model_server.errors import LoadError
from model_server.settings import Settings

READY = b'{"lines": [], "warnings": ["a warning"], "packages": []}'
DAY = 24 * 3600


@pytest.fixture
def keeper(tmp_path):
    return Environments(Settings(cache=tmp_path), {})


def make(tmp_path, name: str, days_ago: float) -> str:
    """An environment; its interpreter."""
    folder = tmp_path / "environments" / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / MARKER).write_bytes(READY)
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


@pytest.fixture
def fitting(keeper, monkeypatch):
    """Environments of one Fit, whatever the model."""

    def fitting(fit: Fit) -> Environments:
        async def look(_model):
            return fit

        monkeypatch.setattr(keeper, "_look", look)
        return keeper

    return fitting


def unbuilt(number: int) -> Fit:
    recipe = Recipe(["tiny"], ["3.11"], f"digest{number}")
    return Fit(["tiny (not here)"], recipe=recipe)


def test_here_tries_with_what_is_here_and_warns(fitting, tmp_path):
    keeper = fitting(unbuilt(0))
    environment = asyncio.run(keeper.find(tmp_path, "here", print))
    assert environment.python is None
    assert environment.warnings == ["tried with what is here, in spite of tiny (not here)"]
    assert not environment.may_lack(LoadError("No module named 'tiny'"))


def test_equal_ones_are_built_once_and_others_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUILDS", 2)
    keeper = Environments(Settings(cache=tmp_path), {})
    running, most, built, said = set(), [], [], []

    async def look(model):
        return unbuilt(int(model.name))

    async def build(_model, folder, *_):
        running.add(folder.name)
        most.append(len(running))
        for _ in range(20):  # turns of the loop, for whoever might come in
            await asyncio.sleep(0)
        await keeper.tidy(set())
        make(tmp_path, folder.name, 0)
        built.append(folder.name)
        running.remove(folder.name)

    monkeypatch.setattr(keeper, "_look", look)
    monkeypatch.setattr(keeper, "_build", build)

    async def find_all():
        models = [tmp_path / str(number % 5) for number in range(20)]
        return await asyncio.gather(*(keeper.find(model, "own", said.append) for model in models))

    environments = asyncio.run(find_all())
    assert sorted(built) == [f"digest{number}" for number in range(5)]
    assert max(most) == 2
    assert {environment.warnings[0] for environment in environments} == {"a warning"}
    assert said.count("waiting for its turn to build an environment") == 5


def test_nothing_is_removed_while_anything_is_built(fitting, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_AFTER", -1)
    keeper = fitting(unbuilt(0))

    async def build(_model, folder, *_):
        (tmp_path / "environments" / "half").mkdir(parents=True)
        await keeper.tidy(set())
        make(tmp_path, folder.name, 0)

    monkeypatch.setattr(keeper, "_build", build)
    asyncio.run(keeper.find(tmp_path, "own", print))
    assert names(tmp_path) == {"half", "digest0"}


def test_downloads_go_with_an_environment(keeper, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_AFTER", -1)
    make(tmp_path, "lately", 0.5)
    (tmp_path / "environments" / "downloads").mkdir()
    asyncio.run(keeper.tidy(set()))
    assert names(tmp_path) == {"lately", "downloads"}
    make(tmp_path, "unused", 1.5)
    asyncio.run(keeper.tidy(set()))
    assert names(tmp_path) == {"lately"}


def test_marker_that_cannot_be_read_is_none(fitting, tmp_path, monkeypatch):
    keeper = fitting(unbuilt(0))
    make(tmp_path, "digest0", 0)
    (tmp_path / "environments" / "digest0" / MARKER).write_text("tiny==1")

    async def build(*_):
        return "built anew"

    monkeypatch.setattr(keeper, "_build", build)
    with pytest.raises(LoadError, match="built anew"):
        asyncio.run(keeper.find(tmp_path, "own", print))


def test_one_that_was_built_without_what_another_flavor_needs_is_not_for_that(fitting, tmp_path):
    keeper = fitting(unbuilt(0))
    make(tmp_path, "digest0", 0)
    marker = tmp_path / "environments" / "digest0" / MARKER
    marker.write_text('{"left_out": ["tiny"]}')
    with pytest.raises(LoadError, match="which was built without tiny"):
        asyncio.run(keeper.find(tmp_path, "own", print))


@pytest.mark.parametrize("mode", ["own", "off"])
def test_off_builds_none(tmp_path, monkeypatch, mode):
    keeper = Environments(Settings(cache=tmp_path, environments="false"), {})

    async def look(_model):
        return unbuilt(0)

    monkeypatch.setattr(keeper, "_look", look)
    with pytest.raises(LoadError, match="SERVING_ENVIRONMENTS is off"):
        asyncio.run(keeper.find(tmp_path, mode, print))


def test_one_that_cannot_be_built_is_tried_once_for_all_that_wait(fitting, tmp_path, monkeypatch):
    keeper = fitting(unbuilt(0))
    tries = []

    async def build(*_):
        tries.append(1)
        await asyncio.sleep(0.01)
        return "no such package"

    monkeypatch.setattr(keeper, "_build", build)

    async def find(count: int):
        finds = [keeper.find(tmp_path, "own", print) for _ in range(count)]
        return await asyncio.gather(*finds, return_exceptions=True)

    async def find_twice():
        return [*await find(5), *await find(1)]

    errors = asyncio.run(find_twice())
    assert len(tries) == 2
    assert all("cannot be built: no such package" in str(error) for error in errors)
