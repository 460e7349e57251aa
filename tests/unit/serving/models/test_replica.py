"""A worker comes back, whatever kept it from starting, and only who ended it pays."""

import asyncio
from pathlib import Path

import pytest

from model_server.models import replica as module
from model_server.models.job import Job
from model_server.models.replica import Replica
from model_server.models.target import Target
from model_server.models.version import Version
from model_server.options import Options
from model_server.processes.wire import Answer, Batch, Loaded, Reply, Request, pack
from model_server.settings import Settings


class Child:
    """The part of a process that a replica sees."""

    pid = 1
    is_gone = False

    def __init__(self) -> None:
        self.channel = self
        self.deliver = None

    def when_gone(self, call) -> None:
        self.die = call

    async def end(self, grace=0) -> int:  # noqa: ARG002
        return 1

    def send(self, message) -> None:
        self.sent = [*getattr(self, "sent", []), message]

    def close(self) -> None:
        self.is_closed = True

    def kill(self) -> None:
        self.is_killed = True
        self.die()


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
    """The part of a replica that a version sees."""

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
        version.metrics.close()  # else other tests' pages of metrics would ask it
        assert list(version._queue) == [one for one in jobs if not one.is_done]

    asyncio.run(run())
    return told


def test_request_that_was_alone_in_a_worker_is_lost_with_it():
    assert lost_with(late=False, others=0) == [503]


def test_of_several_requests_in_a_worker_none_is_lost_with_it():
    assert lost_with(late=False, others=2) == []


def test_request_is_not_lost_beside_one_that_is_past_its_time():
    assert lost_with(late=True, others=1) == [504]


GOOD = [
    [Reply([Answer(1, 200, b"a")], [Batch(1, 1, 0, 0, 0)])],
    [Reply([Answer(1, 499, b"a"), Answer(2, 503, b"")])],
    [Reply([Answer(1, 200, b"", more=True)]), Reply([Answer(1, 200, b"b")])],
    [Reply([Answer(1, 200, b"a"), Answer(2, 200, b"b")]), Reply([], [Batch(2, 2, 0, 0, 0)])],
]
GARBAGE = {
    "an answer to what was not asked": [Reply([Answer(3, 200, b"a")])],
    "a second answer": [Reply([Answer(1, 200, b"a")]), Reply([Answer(1, 200, b"a")])],
    "a status after which no body is read": [Reply([Answer(1, 204, b"a")])],
    "a status that comes before an answer": [Reply([Answer(1, 100, b"a")])],
    "a status that is none": [Reply([Answer(1, 7_000_000, b"a")])],
    "nothing": [Reply([])],
    "a later part of no bytes": [Reply([Answer(1, 200, b"", more=True)])] * 2,
    "more predictions than requests": [Reply([], [Batch(1, 1, 0, 0, 0)] * 3)],
    "no reply": [{"a": 1}],
}


def given_two(*frames: object) -> Child:
    """A replica that has requests 1 and 2, and gets these frames from its worker."""
    child = Child()

    async def launch():
        return child, Loaded()

    async def run():
        free = asyncio.Event()
        replica = Replica(launch, Options(), 5, free.set, lambda *_: None, lambda _: None)
        replica.start_soon()
        await free.wait()
        jobs = [
            Job(Request(number, "id", None, b"", 1e18), 0, lambda *_: None, None, lambda *_: None)
            for number in (1, 2)
        ]
        replica.give(jobs)
        for frame in frames:
            child.deliver(bytes(pack(frame))[4:])
        await replica.end(0)
        return child

    return asyncio.run(run())


@pytest.mark.parametrize("frames", GOOD)
def test_answers_to_what_was_asked_are_taken(frames):
    child = given_two(*frames)
    assert not hasattr(child, "is_killed")


@pytest.mark.parametrize("frames", GARBAGE.values(), ids=GARBAGE)
def test_a_worker_that_writes_anything_else_is_ended(frames):
    child = given_two(*frames)
    assert child.is_killed
    assert child.is_closed


def test_a_stream_that_nobody_wants_is_cancelled_once_and_not_read_for_ever():
    part = Answer(1, 200, b"x" * 2**20, more=True)
    child = Child()

    async def launch():
        return child, Loaded()

    async def run():
        free = asyncio.Event()
        options = Options(answer_limit=2**20)
        replica = Replica(launch, options, 5, free.set, lambda *_: None, lambda _: None)
        replica.start_soon()
        await free.wait()
        job = Job(Request(1, "id", None, b"", 1e18), 0, lambda *_: None, None)
        replica.give([job])
        frame = bytes(pack(Reply([part])))[4:]
        for _ in range(10):
            if not hasattr(child, "is_killed"):
                child.deliver(frame)
        await replica.end(0)

    asyncio.run(run())
    assert child.is_killed
    steers = [one for one in child.sent if not isinstance(one, list)]
    assert [one.how for one in steers] == ["cancel"]
