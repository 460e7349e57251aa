"""One version that is served: its queue, and the replicas that empty it.

The queue empties in one go: when a replica is free, all that waits becomes one frame (shared with
the other replicas that are free). There is no waiting window, so a client alone waits for nobody.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from model_server import errors
from model_server.confinement.quarters import reason
from model_server.confinement.way_out import way_out
from model_server.environments.environments import Environment
from model_server.metrics import VersionMetrics
from model_server.models.entry import Entry
from model_server.models.job import Done, Job, Part
from model_server.models.launch import Launch
from model_server.models.replica import Replica
from model_server.models.target import Target
from model_server.network.proxy import Proxy
from model_server.options import Options
from model_server.processes import wire
from model_server.settings import Settings

log = logging.getLogger(__name__)

FRAME_BYTES = 64 * 2**20
"""Bodies of one frame; a single larger body still goes, alone."""
TICK = 0.2
"""Seconds between two looks at time limits and memory, while there is anything to look at."""
MOST_OF_EXAMPLE = 10_000
"""Bytes of an input example that is kept, to be shown."""
IDLE_TICK = 2.0
"""Seconds between two looks at the memory of a worker that has nothing to do."""


class Version:
    """Ready after `start`; `submit` until `drain` or `stop`."""

    def __init__(
        self,
        target: Target,
        folder: Path,
        settings: Settings,
        options: Options | None = None,
        environment: Environment | None = None,
    ) -> None:
        self.target = target
        self.options = options or Options()
        self.environment = environment or Environment()
        self.metrics = VersionMetrics(target.name, target.version)
        self.stamp = b"x-model-name: %b\r\nx-model-version: %b\r\n" % (
            _header(target.name),
            _header(target.version),
        )
        """Lines that every answer of this version has."""
        self.head = b"content-type: application/json\r\n" + self.stamp
        self.warnings = list(self.environment.warnings)
        self.description = wire.Description()
        self.uncompiled: list[str] = []
        """Modules of its environment that its workers compile again and again: files."""
        self.example: bytes | None = None
        """The model's own input example as a request body, or else why there is none here."""
        self.example_reason: str | None = None
        self._settings = settings
        self._confined_reason = reason(settings)
        network = self.options.network
        self._proxy: Proxy | None = None
        if network.proxied and settings.confinement != "off":
            self._proxy = Proxy(network, target.name, target.version)
        self._launch = Launch(target, folder, settings, self.options, self.environment.python)
        self._queue: deque[Job] = deque()
        self._replicas: list[Replica] = []
        self.metrics.waiting = self._queue.__len__
        self.metrics.workers = lambda: sum(replica.is_up for replica in self._replicas)
        self._number = 0
        self._feeding = False
        self._closing = False
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_ticking = False
        """Whether the timer goes off soon, since requests are in."""
        self._used = time.monotonic()
        self._falling_asleep: asyncio.Task[None] | None = None

    @property
    def asleep(self) -> bool:
        """Whether it has no process, so that the next request starts one."""
        return not self._replicas and not self._closing

    @property
    def failing(self) -> str | None:
        """Why nothing can be asked now, while its workers fail again and again."""
        return self._replicas[0].reason if self._keeps_failing else None

    def describe(self, entry: Entry) -> None:
        """Put its part into the entry in /models."""
        description = self.description
        entry.source = self.target.source
        entry.workers = [one.pid for one in self._replicas if one.is_up and one.pid]
        entry.asleep = self.asleep
        entry.environment = self.environment.because
        entry.packages = self.environment.packages
        entry.flavor = description.flavor
        entry.engine = description.engine
        entry.engine_reason = description.engine_reason
        entry.streaming = description.streaming
        entry.batching = description.batching
        entry.batching_reason = description.batching_reason
        entry.threads = description.threads
        entry.confined = self._confined_reason is None
        entry.confined_reason = self._confined_reason
        entry.refused_hosts = list(self._proxy.refused.values()) if self._proxy else []

    async def start(self, forgives: Callable[[errors.ExampleError], bool] | None = None) -> None:
        """Load, warm up, be ready. `forgives` says whether to serve although the input example
        fails so; without it, never. Raises LoadError, and then leaves nothing behind."""
        if forgives:
            self._launch.forgives = forgives
        replicas = [self._replica() for _ in range(self.options.replicas)]
        try:
            port = await self._proxy.start() if self._proxy else 0
            self._launch.way_out = way_out(self.options.network, self._proxy, port)
            # One by one: the first may show that the version does not work at all.
            for replica in replicas:
                loaded = await replica.start()
        except BaseException:
            await asyncio.gather(*(replica.end(0) for replica in replicas))
            await self._close_proxy()
            self.metrics.close()
            raise
        self.warnings += loaded.warnings
        self.uncompiled = loaded.uncompiled
        self.description = loaded.description
        self._keep(loaded.example)
        self._replicas = replicas
        self._used = time.monotonic()  # what loading took is no idle time
        self._schedule()

    def _keep(self, example: bytes | None) -> None:
        if example is None:
            self.example_reason = "logged without one"
        elif len(example) > MOST_OF_EXAMPLE:
            self.example_reason = f"it has more than {MOST_OF_EXAMPLE:,} bytes"
        else:
            self.example = example

    def submit(
        self, request: wire.Request, done: Done, context: object = None, part: Part | None = None
    ) -> None:
        """Queue the request, which gets its number and deadline here. `done` is called once, when
        there is an answer or it is clear that there will be none; `part` before it, with each part
        of an answer that is streamed. Raises RefusedError when it is not even queued."""
        if self._closing or self._keeps_failing:
            raise errors.unavailable(
                "The model's worker process keeps failing and is restarted: /models says why."
            )
        queue = self._queue
        if len(queue) >= self._settings.queue_limit:
            raise errors.overloaded("Too many requests wait for this model (SERVING_QUEUE_LIMIT).")
        self._number += 1
        self._used = time.monotonic()
        request.number = self._number
        request.deadline = self._used + self._settings.timeout
        queue.append(Job(request, time.perf_counter(), done, context, part))
        if not self._feeding:
            # Not at once: what else has arrived in this turn of the loop goes along.
            self._feeding = True
            self._loop.call_soon(self._feed)
        if not self._is_ticking:
            self._schedule()

    async def drain(self) -> None:
        """Answer what waits, then end the workers. Nothing may be submitted any more."""
        self._closing = True
        await self._settle()
        while self._is_busy:
            self._is_empty.clear()
            await self._is_empty.wait()
        await self.stop()

    async def stop(self) -> None:
        """End the workers now; what still waits is refused."""
        self._closing = True
        await self._settle()
        if self._timer:
            self._timer.cancel()
        replicas, self._replicas = self._replicas, []
        await asyncio.gather(*(replica.end() for replica in replicas))
        await self._close_proxy()
        self._refuse_all()
        self.metrics.close()

    async def _close_proxy(self) -> None:
        if self._proxy:
            await self._proxy.close()

    @property
    def _is_busy(self) -> bool:
        return bool(self._queue) or not all(replica.is_idle for replica in self._replicas)

    @property
    def _keeps_failing(self) -> bool:
        return bool(self._replicas) and all(one.keeps_failing for one in self._replicas)

    def _replica(self) -> Replica:
        return Replica(
            self._launch,
            self.options,
            self._settings.timeout,
            self._feed,
            self._lost,
            self.metrics.predicted,
        )

    def _feed(self) -> None:
        """Whenever something was queued or a replica has become free."""
        self._feeding = False
        if self._queue:
            if not self._replicas:
                self._wake()
            free = [(replica, room) for replica in self._replicas if (room := replica.room)]
            if len(free) > 1:
                free.sort(key=lambda one: -len(one[0].jobs))  # the least busy one takes first
            for left in range(len(free), 0, -1):
                replica, room = free[left - 1]
                share = min(room, -(-len(self._queue) // left))
                if jobs := self._take(share, is_idle=replica.is_idle):
                    replica.give(jobs)
        elif self._closing and not self._is_busy:
            self._is_empty.set()

    def _take(self, count: int, *, is_idle: bool) -> list[Job]:
        """Up to `count` jobs, and FRAME_BYTES; a suspect one alone, for a replica that is idle."""
        jobs: list[Job] = []
        size = 0
        now = time.perf_counter()
        queue = self._queue
        while queue and len(jobs) < count:
            job = queue[0]
            size += len(job.request.body)
            if jobs and size > FRAME_BYTES:
                break
            if job.is_suspect:
                if jobs or not is_idle:
                    break
                count = 1
            queue.popleft()
            if not job.is_done:
                jobs.append(job)
                self.metrics.queued.observe(now - job.since)
        if jobs:
            self.metrics.frames.observe(len(jobs))
        return jobs

    def _lost(self, facts: dict[str, Any], jobs: list[Job]) -> None:
        """A request that was alone in the worker has ended it. Of several nobody can tell which
        did: each is asked once more, alone."""
        self.metrics.restarts += 1
        # Counted before: one that is past its time limit may be what ended it.
        is_known = len(jobs) == 1
        for job in jobs:
            if is_known or job.steer is not None:  # a client has parts of an answer already
                job.lose()
        again = [job for job in jobs if not job.is_done]
        for job in again:
            job.is_suspect = True
        self._queue.extendleft(reversed(again))
        log.error(
            "worker lost",
            extra={"model": self.target.name, "version": self.target.version, **facts},
        )
        if len(jobs) < 2 and self._keeps_failing:
            self._refuse_all()
        self._feed()

    def _refuse_all(self) -> None:
        while self._queue:
            self._queue.popleft().lose()

    def _schedule(self) -> None:
        """The next tick: soon while requests are in, else when it is time to sleep."""
        if self._timer:
            self._timer.cancel()
        self._is_ticking = self._is_busy or self._feeding
        if self._is_ticking:
            self._timer = self._loop.call_later(TICK, self._tick)
        elif self._settings.idle and self._replicas and not self._closing:
            due = max(TICK, self._used + self._settings.idle - time.monotonic())
            if self.options.memory:
                due = min(due, IDLE_TICK)
            self._timer = self._loop.call_later(due, self._tick)
        elif self.options.memory and self._replicas and not self._closing:
            self._timer = self._loop.call_later(IDLE_TICK, self._tick)
        else:
            self._timer = None

    def _tick(self) -> None:
        now = time.monotonic()
        for job in (*self._queue, *(job for replica in self._replicas for job in replica.jobs)):
            if now > job.deadline:
                job.refuse(errors.too_late())
        for replica in self._replicas:
            replica.check(now)
        idle = self._settings.idle
        if self._is_busy:
            self._used = now
        elif idle and now - self._used >= idle and self._replicas:
            self._fall_asleep()
        self._schedule()

    def _fall_asleep(self) -> None:
        replicas, self._replicas = self._replicas, []
        log.info("asleep", extra={"model": self.target.name, "version": self.target.version})
        self._falling_asleep = asyncio.create_task(_end(replicas))

    def _wake(self) -> None:
        if self._closing:
            self._refuse_all()
            return
        log.info("woken", extra={"model": self.target.name, "version": self.target.version})
        self._replicas = [self._replica() for _ in range(self.options.replicas)]
        for replica in self._replicas:
            replica.start_soon()

    async def _settle(self) -> None:
        if self._falling_asleep:
            await asyncio.wait([self._falling_asleep])


async def _end(replicas: list[Replica]) -> None:
    await asyncio.gather(*(replica.end() for replica in replicas))


def _header(text: str) -> bytes:
    """Names may hold any character, a header may not: percent-encoded as in a path."""
    return quote(text, safe="").encode()
