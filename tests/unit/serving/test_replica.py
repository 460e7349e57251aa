"""A worker comes back, whatever kept it from starting, and only who ended it pays."""

import asyncio
from pathlib import Path

import pytest

from model_server.following.registry import Target
from model_server.options import Options
from model_server.settings import Settings
from model_server.workers import replica as module
from model_server.workers.job import Job
from model_server.workers.replica import Replica
from model_server.workers.version import Version
from model_server.workers.wire import Loaded, Request


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


class Busy:
    """As much of a replica as a version sees."""

    room = 0
    jobs = ()
    keeps_failing = False


def lost_with(*, late: bool, others: int) -> list[int]:
    """The statuses given when a worker ends that had a request, past its time limit or not, and
    others."""
    told = []

    def job(number: int) -> Job:
        request = Request(number, "id", None, b"", 1e9)
        return Job(request, 0.0, lambda _, status, *__: told.append(status), None)

    async def run():
        version = Version(Target("model", "1", "models:/model/1", "", ""), Path(), Settings())
        version._replicas = [Busy()]
        jobs = [job(number) for number in range(1 + others)]
        if late:
            jobs[0].finish(504, b"")
        version._lost({}, jobs)
        assert list(version._queue) == [one for one in jobs if not one.is_done]

    asyncio.run(run())
    return told


def test_request_that_was_alone_in_a_worker_is_lost_with_it():
    assert lost_with(late=False, others=0) == [503]


def test_of_several_requests_in_a_worker_none_is_lost_with_it():
    assert lost_with(late=False, others=2) == []


def test_request_is_not_lost_beside_one_that_is_past_its_time():
    assert lost_with(late=True, others=1) == [504]
