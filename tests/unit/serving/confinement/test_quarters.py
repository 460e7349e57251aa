"""A process's own folder goes with it, whatever it has made of it."""

import asyncio
import os
from pathlib import Path

import pytest

from model_server.confinement.quarters import TEMPORARY, enter, move_in, tidy
from model_server.processes import process
from model_server.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(models="a=/b", cache=tmp_path)


def deepen(folder: Path, levels: int) -> None:
    """Folders in each other, so deep that no path leads to the last, each with a file."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        within = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)
        here = within
    os.close(here)


@pytest.mark.parametrize("how", ["leave", "tidy"])
def test_it_goes_however_deep_it_is_and_whatever_is_closed(settings, how):
    quarters = move_in(settings, [])
    deepen(quarters.folder, 3000)
    closed = quarters.folder / "closed"
    (closed / "within").mkdir(parents=True)
    (closed / "within" / "a").touch()
    (closed / "within").chmod(0)
    closed.chmod(0)
    outside = settings.cache / "outside"
    outside.mkdir(mode=0o500)
    (outside / "kept").touch()
    (quarters.folder / "link").symlink_to(outside)
    if how == "leave":
        quarters.leave()
    else:
        tidy(settings)
    assert list((settings.cache / TEMPORARY).iterdir()) == []
    assert (outside / "kept").exists()
    assert outside.stat().st_mode & 0o777 == 0o500


def test_a_start_that_is_cancelled_leaves_no_folder(settings):
    async def start() -> None:
        quarters = await enter(move_in, settings, [])
        child = await process.spawn(
            "tests.unit.serving.processes.child", "wait", name="x", quarters=quarters
        )
        await child.end()

    async def run() -> None:
        await start()  # what starts others is there
        for number in range(40):
            starting = asyncio.create_task(start())
            await asyncio.sleep(number / 2000)
            starting.cancel()
            await asyncio.wait([starting])
        async with asyncio.timeout(60):
            while any((settings.cache / TEMPORARY).iterdir()):
                await asyncio.sleep(0.05)

    asyncio.run(run())
    assert list((settings.cache / TEMPORARY).iterdir()) == []
