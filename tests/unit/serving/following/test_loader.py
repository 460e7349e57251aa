"""What a version's way in leaves behind when it ends early."""

import asyncio
import contextlib
import errno
from dataclasses import replace

import psutil
import pytest

from harness.waiting import wait_until
from model_server.environments.environments import Environment
from model_server.errors import FetchError, LoadError
from model_server.following import loader as module
from model_server.following.cache import Cache
from model_server.following.loader import Loader
from model_server.models.target import Target
from model_server.options import Options
from model_server.processes import process
from model_server.settings import Settings


def target(name: str = "wine") -> Target:
    return Target(name, "1", "models:/wine/1", "a" * 64, "alias champion")


class Fetcher:
    """Brings half a model, then does as told."""

    def __init__(self, then: str) -> None:
        self.then = then
        self.begun = asyncio.Event()
        self.fetches = 0

    async def fetch(self, uri: str, folder) -> None:
        self.fetches += 1
        folder.with_name("model.parts").mkdir()
        (folder.with_name("model.parts") / "weights").write_text("half")
        self.begun.set()
        match self.then:
            case "fail":
                raise FetchError(f"{uri} cannot be fetched: enough")
            case "hang":
                await asyncio.sleep(3600)
            case "finish":
                await asyncio.sleep(0.05)
                folder.with_name("model.parts").rename(folder)


class Loaded:
    """A version that is up at once."""

    uncompiled = ()

    def __init__(
        self, target: Target, folder, _settings: Settings, options: Options, _environment
    ) -> None:
        self.target, self.folder, self.options = target, folder, options
        self.warnings: list[str] = []

    async def start(self, _forgives) -> None:
        assert (self.folder / "weights").exists()

    async def drain(self) -> None:
        """Ends at once."""


class Fitting:
    """Stands for Environments: every model fits."""

    async def find(self, _model, _mode, _say) -> Environment:
        return Environment()

    def compiled(self, _environment) -> contextlib.nullcontext:
        return contextlib.nullcontext()

    async def tidy(self, _used) -> None:
        """There is nothing."""


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path, None, 0)
    yield cache
    cache.close()


def bring_up(cache: Cache, then: str, *targets: Target, cancelled: bool = False):
    async def run():
        fetcher = Fetcher(then)
        loader = Loader(Settings(), cache, fetcher, Fitting())
        tasks = [asyncio.create_task(loader.bring_up(target, print)) for target in targets]
        if cancelled:
            await fetcher.begun.wait()
            tasks[0].cancel()
        return fetcher, await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("then", "cancelled", "error"),
    [
        ("fail", False, FetchError),
        ("hang", True, asyncio.CancelledError),
        ("bring nothing", False, LoadError),
    ],
)
def test_fetch_that_ends_early_leaves_no_files(cache, tmp_path, then, cancelled, error):
    _, (outcome,) = bring_up(cache, then, target(), cancelled=cancelled)
    assert isinstance(outcome, error)
    assert not list((tmp_path / "incoming").iterdir())


def test_options_stand_in_tags_or_in_the_model(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Version", Loaded)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "weights").touch()
    (folder / "MLmodel").write_text(
        "metadata: {serving.batch: off, serving.replicas: 2, serving.none: 1, 7: 8}"
    )
    tagged = replace(target(), uri=str(folder), tags={"serving.replicas": "3"})
    _, (version,) = bring_up(cache, "finish", tagged)
    assert (version.options.batch, version.options.replicas) == (False, 3)
    assert [warning.split("=")[0] for warning in version.warnings] == ["tag serving.none"]


def test_same_files_under_two_names_come_once(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Version", Loaded)
    fetcher, versions = bring_up(cache, "finish", target(), target("other"))
    assert [version.target.name for version in versions] == ["wine", "other"]
    assert fetcher.fetches == 1
    assert not list((tmp_path / "incoming").iterdir())


def test_files_stay_until_the_worker_has_ended(cache, monkeypatch):
    """A draining version may have to start its worker again."""
    monkeypatch.setattr(module, "Version", Loaded)

    async def run() -> tuple[bool, bool]:
        loader = Loader(Settings(), cache, Fetcher("finish"), Fitting())
        version = await loader.bring_up(target(), print)
        await loader.record(dict)
        held = (version.folder / "weights").exists()
        await loader.retire(version)
        return held, (version.folder / "weights").exists()

    assert asyncio.run(run()) == (True, False)


def test_full_disk_drops_what_is_kept_for_a_way_back(cache, tmp_path):
    old = replace(target(), version="0", identity="b" * 64)
    folder = cache.incoming(old)
    folder.mkdir()
    (folder / "MLmodel").write_text("old")
    kept = cache.keep(old, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "keep", raising(OSError(errno.ENOSPC, "full")))
        _, (outcome,) = bring_up(cache, "finish", target())
    assert isinstance(outcome, FetchError)
    assert "No space left" in str(outcome)
    assert not kept.exists()
    assert not list((tmp_path / "incoming").iterdir())


def raising(error: Exception):
    def call(*_: object) -> None:
        raise error

    return call


def test_abandoned_start_leaves_no_process(tmp_path):
    """Else a fetch nobody waits for would go on and write."""

    async def abandon(turns: int) -> None:
        arguments = ("s3://nowhere/", str(tmp_path / "model"), None, {})
        start = process.spawn("model_server.children.fetch", *arguments, name="abandoned")
        starting = asyncio.create_task(start)
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()

    for turns in range(1, 12, 2):  # before its order is on its way, and after
        asyncio.run(abandon(turns))
    parent = psutil.Process(process.parent_pid())
    wait_until(lambda: not parent.children(), 20, "the end of what was abandoned")
    assert parent.is_running()
