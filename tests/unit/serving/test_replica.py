"""A worker comes back, whatever kept it from starting."""

import asyncio

import pytest

from model_server.options import Options
from model_server.workers import replica as module
from model_server.workers.replica import Replica
from model_server.workers.wire import Loaded


class Child:
    """As much of a process as a replica sees."""

    pid = 1
    is_gone = False

    def __init__(self) -> None:
        self.channel = self
        self.deliver = None

    def when_gone(self, call) -> None:
        self.die = call

    async def end(self, grace=0) -> int:  # noqa: ARG002
        return 1


@pytest.mark.parametrize("problem", [OSError(24, "Too many open files"), EOFError(), ValueError()])
def test_start_that_fails_in_any_way_is_tried_again(problem, monkeypatch):
    monkeypatch.setattr(module, "BACK_OFF", (0.0, 0.01))
    outcomes = [problem, problem, None]
    lost = []

    async def launch():
        if error := outcomes.pop(0):
            raise error
        return Child(), Loaded()

    async def run():
        free = asyncio.Event()
        replica = Replica(
            launch, Options(), 5, free.set, lambda facts, _: lost.append(facts), lambda _: None
        )
        replica.start_soon()
        async with asyncio.timeout(10):
            await free.wait()
        assert replica.is_up
        await replica.end(0)

    asyncio.run(run())
    assert len(lost) == 2
    assert type(problem).__name__ in lost[0]["reason"]
