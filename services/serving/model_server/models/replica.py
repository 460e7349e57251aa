"""One worker process of a version: fed, watched, started again when it dies."""

import asyncio
import http
import logging
import math
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from model_server.errors import LoadError
from model_server.models.job import Job
from model_server.models.launch import Launch
from model_server.options import Options
from model_server.processes import process, wire

log = logging.getLogger(__name__)

BACK_OFF = (0.0, 0.0, 0.0, 0.2, 1.0, 5.0, 15.0, 30.0)
"""Seconds before the first, second, ... start after workers that died and had answered nothing."""
KEEPS_FAILING = 4
"""So many of these in a row, and requests need not wait for the next."""
SILENT = 10.0
"""Seconds since an answer, before which a model counts as one that works: a run of bad requests
turns no good ones away."""
STABLE = 60
"""Seconds after which a worker's death counts as the first again."""
STATUSES = frozenset({200, 499, *(one for one in http.HTTPStatus if one >= 400)})
"""That an answer of a model may have."""
ANY = 2**31
"""Jobs of one frame: all that wait."""
MIB = 2**20
AHEAD = MIB
"""Bytes of a stream that may be on their way when its worker is told to pause or to stop, beside
one event."""
PAGE = os.sysconf("SC_PAGE_SIZE")

_reply = msgspec.msgpack.Decoder(wire.Reply)


class Replica:
    """Idle, busy with one frame of jobs, or lost and coming back by itself."""

    def __init__(
        self,
        launch: Launch,
        options: Options,
        timeout: float,
        on_free: Callable[[], None],
        on_lost: Callable[[dict[str, Any], list[Job]], None],
        on_batch: Callable[[wire.Batch], None],
    ) -> None:
        """`on_free` is called when it can take more; `on_lost`, when its process has gone, with
        the facts for the log and the jobs that it had."""
        self._launch = launch
        self._options = options
        self._timeout = timeout
        self._on_free = on_free
        self._on_lost = on_lost
        self._on_batch = on_batch
        self._child: process.Child | None = None
        self._channel: wire.Channel
        self._frame: dict[int, Job] = {}
        self._threads = 0
        """Requests that it answers at one time; 0: one frame of them, one after the other."""
        self._is_ending = False
        self._batches = 0
        """Predictions that it may still tell of: no more than it had requests."""
        self._progress = 0.0
        self._answered = -math.inf
        self._gone = asyncio.Event()
        self._reason = "it died"
        self._life: asyncio.Task[None] | None = None
        self.failures = 0

    @property
    def pid(self) -> int | None:
        """The process's number, while there is one."""
        return self._child.pid if self._child else None

    @property
    def reason(self) -> str:
        """Why it was lost last."""
        return self._reason

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        child = self._child  # once: /metrics asks from a thread of its own
        return child is not None and not child.is_gone

    @property
    def room(self) -> int:
        """Jobs that it can take now."""
        child = self._child
        if child is None or self._is_ending or child.is_gone:
            return 0
        if not self._threads:
            return 0 if self._frame else ANY
        if any(job.is_suspect for job in self._frame.values()):
            return 0
        return self._threads - len(self._frame)

    @property
    def is_idle(self) -> bool:
        """Whether it has no job."""
        return not self._frame

    @property
    def keeps_failing(self) -> bool:
        """Whether its processes die before they answer anything, again and again."""
        return not self.is_up and self.failures >= KEEPS_FAILING

    @property
    def jobs(self) -> list[Job]:
        """Jobs that it has."""
        return list(self._frame.values())

    async def start(self) -> wire.Loaded:
        """Start the worker; what it has loaded. Raises LoadError."""
        loaded = await self._bring_up()
        self._life = asyncio.create_task(self._live())
        return loaded

    def start_soon(self) -> None:
        """Start without waiting; what goes wrong counts as a loss."""
        self._life = asyncio.create_task(self._live())

    def give(self, jobs: list[Job]) -> None:
        """One frame down, of no more jobs than there is `room` for."""
        self._progress = time.monotonic()
        self._batches += len(jobs)
        for job in jobs:
            job.sent = self._progress
            self._frame[job.request.number] = job
        self._channel.send([job.request for job in jobs])

    def check(self, now: float) -> None:
        """End a worker that hangs or takes too much memory; to be called again and again."""
        if self._child is None or self._child.is_gone:
            return
        if self._frame and self._is_stuck(now):
            self._kill(f"it gave no answer for {self._timeout:g} s")
        elif self._options.memory:
            used = _memory(self._child.pid)
            if used > self._options.memory * MIB:
                self._kill(f"it used {used // MIB} MiB, more than {self._options.memory}")

    def _is_stuck(self, now: float) -> bool:
        """Whether nothing moves. In threads, one request that hangs is no reason to end the others,
        and a stream that waits for its client does not hang."""
        if not self._threads:
            return now - self._progress > self._timeout
        jobs = self._frame.values()
        return all(now - job.sent > self._timeout and not job.is_paused for job in jobs)

    async def end(self, grace: float = 1) -> None:
        """End the process for good; what it was busy with is lost."""
        if self._life:
            self._life.cancel()
            await asyncio.wait([self._life])
        child, self._child = self._child, None
        if child:
            child.when_gone(lambda: None)
            await asyncio.shield(child.end(grace))
        for job in self.jobs:
            job.lose()
        self._frame = {}

    async def _bring_up(self) -> wire.Loaded:
        child, loaded = await self._launch()
        self._gone.clear()
        self._is_ending = False
        self._batches = 0
        self._reason = "it died"
        self._channel = child.channel
        self._channel.deliver = self._receive
        child.when_gone(self._gone.set)
        if child.is_gone:
            self._gone.set()
        self._child = child
        about = loaded.description
        self._threads = about.threads if about.streaming or about.threads > 1 else 0
        return loaded

    async def _live(self) -> None:
        """Keep a process up, until cancelled."""
        while True:
            started = time.monotonic()
            try:
                if self._child is None:
                    await self._bring_up()
                    self._on_free()
                await self._gone.wait()
            except LoadError as error:
                self._reason = str(error)
            except Exception as error:
                log.exception("starting a worker failed")
                self._reason = f"it could not be started ({type(error).__name__})"
            if time.monotonic() - started > STABLE:
                self.failures = 0
            await self._recover()

    async def _recover(self) -> None:
        child, self._child = self._child, None
        code = await child.end() if child else None
        jobs, self._frame = self.jobs, {}
        wait = 0.0
        if len(jobs) < 2:  # one bad request among several says nothing of the model
            wait = BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
            is_silent = time.monotonic() - self._answered > SILENT
            if is_silent or self.failures < KEEPS_FAILING - 1:
                self.failures += 1
        facts = {"reason": self._reason, "ending": process.ending(code), "restart_in": wait}
        self._on_lost(facts, jobs)
        await asyncio.sleep(wait)

    def _kill(self, reason: str) -> None:
        self._reason = reason
        self._is_ending = True
        if self._child:
            self._child.kill()

    def _receive(self, payload: bytes) -> None:
        frame = self._frame
        try:
            reply = _reply.decode(payload)
        except (msgspec.DecodeError, RecursionError):
            reply = None
        if reply is None or not self._fits(reply):
            # What else it writes is not looked at: that would take time from others.
            self._channel.close()
            self._kill("it wrote garbage")
            return
        self._progress = time.monotonic()
        for batch in reply.batches:
            self._on_batch(batch)
        for answer in reply.answers:
            if answer.more:
                if job := frame.get(answer.number):
                    if not job.is_cancelled:
                        job.sent = self._progress
                    job.take(answer.body, self._progress + self._timeout, self._steer)
                continue
            job = frame.pop(answer.number, None)
            if job is not None:
                job.finish(answer.status, answer.body)
        self.failures = 0
        self._answered = self._progress
        if not frame or self._threads:
            self._on_free()

    def _fits(self, reply: wire.Reply) -> bool:
        """Whether these are answers to what it was asked, in a form that can be passed on: a model
        may write in its worker's place."""
        for answer in reply.answers:
            job = self._frame.get(answer.number)
            if job is None or job.ahead > self._options.answer_limit + AHEAD:
                return False
            if not answer.more and answer.status not in STATUSES:
                return False
            if answer.more and not answer.body and job.steer is not None:
                return False  # only a stream's first part may be empty: there is no event yet
        self._batches -= len(reply.batches)
        return bool(reply.answers or reply.batches) and self._batches >= 0

    def _steer(self, number: int, how: str) -> None:
        """Tell the worker about one stream, unless that has ended meanwhile."""
        if number in self._frame and self.is_up:
            # Its code gets the time of an answer to come to its end.
            self._frame[number].sent = time.monotonic()
            self._channel.send(wire.Steer(number, how))


def _memory(pid: int) -> int:
    """Resident bytes, as `top` shows them: the libraries that are shared with other workers count.
    0 when it cannot be told."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * PAGE
    except OSError:
        return 0
