"""One version that is served: its queue and the worker process behind it.

The queue empties in one go: when the worker is free, all that waits becomes one frame. There is
no waiting window, so a client alone waits for nobody.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from model_server import errors
from model_server.errors import LoadError, WorkerLostError
from model_server.following.registry import Target
from model_server.metrics import VersionMetrics
from model_server.settings import Settings
from model_server.workers import process, wire

log = logging.getLogger(__name__)

FRAME_BYTES = 64 * 2**20
"""Bodies of one frame; a single larger body still goes, alone."""
BACK_OFF = (0.0, 0.2, 1.0, 5.0, 15.0, 30.0)
"""Seconds before the first, second, ... start of a worker that keeps dying."""
STABLE = 60
"""Seconds after which a worker's death counts as the first again."""

_greeting = msgspec.msgpack.Decoder(wire.Loaded)
_reply = msgspec.msgpack.Decoder(wire.Reply)


@dataclass(slots=True)
class _Waiting:
    request: wire.Request
    answer: asyncio.Future
    since: float


class Version:
    def __init__(self, target: Target, folder: Path, settings: Settings) -> None:
        self.target = target
        self.metrics = VersionMetrics(target.name, target.version)
        self.headers = (
            (b"x-model-name", _header(target.name)),
            (b"x-model-version", _header(target.version)),
        )
        self.warnings: list[str] = []
        self.description = wire.Description()
        self._folder = folder
        self._settings = settings
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._number = 0
        self._child: process.Child | None = None
        self._runner: asyncio.Task | None = None
        self._failures = 0
        self._closing = False

    @property
    def worker(self) -> int | None:
        """The worker's process id, None while there is none."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Load, warm up, be ready for `ask`. Raises LoadError, and then leaves nothing behind."""
        try:
            await self._launch()
        except BaseException:
            self.metrics.close()
            raise
        self._runner = asyncio.create_task(self._run(), name=f"version {self.target.name}")

    async def ask(self, body: bytes, content_type: str | None, request_id: str) -> wire.Answer:
        """The model's answer, whatever its status. Raises RefusedError when there is none."""
        if self._closing or (self._child is None and self._failures > 1):
            raise errors.unavailable("The model's worker process keeps failing and is restarted.")
        if len(self._queue) >= self._settings.queue_limit:
            raise errors.overloaded("Too many requests wait for this model.")
        self._number += 1
        deadline = time.monotonic() + self._settings.timeout
        request = wire.Request(self._number, request_id, content_type, body, deadline)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._queue.append(waiting)
        self.metrics.queue.set(len(self._queue))
        self._wake.set()
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await waiting.answer
        except TimeoutError:
            raise errors.too_late() from None
        except WorkerLostError:
            raise errors.unavailable(
                "The model's worker process ended before it answered."
            ) from None

    async def drain(self) -> None:
        """Answer what waits, then end the worker. Nothing may be asked any more."""
        self._closing = True
        self._wake.set()
        try:
            await self._runner
        finally:
            self.metrics.close()

    async def stop(self) -> None:
        """End the worker now; what still waits is refused."""
        self._closing = True
        self._runner.cancel()
        await asyncio.wait([self._runner])
        self.metrics.close()

    async def _launch(self) -> None:
        """Start a worker and warm it up: the first one as well as every later one."""
        target = self.target
        child = await process.spawn(
            "model_server.scoring.worker",
            target.name,
            target.version,
            str(self._folder),
            name=f"worker {target.name} {target.version}",
        )
        try:
            async with asyncio.timeout(self._settings.load_timeout):
                loaded = await child.receive(_greeting)
                if loaded.problem:
                    raise LoadError(loaded.problem)
                self.warnings = loaded.warnings
                self.description = loaded.description
                await self._warm_up(child, loaded.example)
        except BaseException as error:
            code = await asyncio.shield(child.end())
            if isinstance(error, TimeoutError):
                raise LoadError(
                    f"it took longer than {self._settings.load_timeout:g} s to load"
                ) from None
            if isinstance(error, wire.PeerClosedError):
                raise LoadError(f"its process died while loading ({_ending(code)})") from None
            raise
        self._child = child

    async def _warm_up(self, child: process.Child, example: bytes | None) -> None:
        """One request through the very path that users' requests take."""
        if example is None:
            self.warnings = [*self.warnings, "logged without an input example: not warmed up"]
            return
        deadline = time.monotonic() + self._settings.load_timeout
        request = wire.Request(0, "warm-up", "application/json", example, deadline)
        await child.send([request])
        (answer,) = (await child.receive(_reply)).answers
        if answer.status != 200:
            text = msgspec.json.decode(answer.body).get("message", "")
            raise LoadError(f"its own input example gets a {answer.status}: {text}")

    async def _run(self) -> None:
        """Feed the worker; start another when it dies."""
        try:
            while not (self._closing and not self._queue):
                started = time.monotonic()
                try:
                    if self._child is None:
                        await self._launch()
                    await self._feed(self._child)
                except (WorkerLostError, LoadError) as error:
                    if time.monotonic() - started > STABLE:
                        self._failures = 0
                    await self._recover(str(error))
        finally:
            self._refuse_all()
            if self._child is not None:
                await asyncio.shield(self._child.end(grace=1))

    async def _feed(self, child: process.Child) -> None:
        """Until there is nothing left to do. Raises WorkerLostError."""
        child.when_gone(self._wake.set)
        while True:
            if child.is_gone:
                raise WorkerLostError("it died")
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            frame = self._take()
            if frame:
                await self._exchange(child, frame)

    def _take(self) -> dict[int, _Waiting]:
        frame: dict[int, _Waiting] = {}
        size = 0
        now = time.perf_counter()
        while self._queue:
            waiting = self._queue[0]
            size += len(waiting.request.body)
            if frame and size > FRAME_BYTES:
                break
            self._queue.popleft()
            if not waiting.answer.done():  # else its client was told that it took too long
                frame[waiting.request.number] = waiting
                self.metrics.queued.observe(now - waiting.since)
        self.metrics.queue.set(len(self._queue))
        if frame:
            self.metrics.frames.observe(len(frame))
        return frame

    async def _exchange(self, child: process.Child, frame: dict[int, _Waiting]) -> None:
        """One frame down, its answers up. A worker that says nothing for a request's whole
        time limit hangs."""
        try:
            async for answer in self._answers(child, [w.request for w in frame.values()]):
                waiting = frame.pop(answer.number)
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        except (TimeoutError, wire.PeerClosedError, ValueError, KeyError) as error:
            hung = isinstance(error, TimeoutError)
            raise WorkerLostError("it hung" if hung else "it died") from None
        finally:
            for waiting in frame.values():
                if not waiting.answer.done():
                    waiting.answer.set_exception(WorkerLostError())

    async def _answers(
        self, child: process.Child, requests: list[wire.Request]
    ) -> AsyncIterator[wire.Answer]:
        missing = len(requests)
        limit = self._settings.timeout
        async with asyncio.timeout(limit):
            await child.send(requests)
        while missing:
            async with asyncio.timeout(limit):
                reply = await child.receive(_reply)
                answers = reply.answers
            for batch in reply.batches:
                self.metrics.predicted.observe(batch.predict)
            missing -= len(answers)
            for answer in answers:
                yield answer

    async def _recover(self, problem: str) -> None:
        child, self._child = self._child, None
        code = await child.end() if child else None
        wait = BACK_OFF[min(self._failures, len(BACK_OFF) - 1)]
        self._failures += 1
        self.metrics.restarts.inc()
        log.error(
            "worker lost",
            extra={
                "model": self.target.name,
                "version": self.target.version,
                "reason": problem,
                "ending": _ending(code),
                "restart_in": wait,
            },
        )
        if self._closing or self._failures > 1:
            self._refuse_all()
        if not self._closing:
            await asyncio.sleep(wait)

    def _refuse_all(self) -> None:
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.answer.done():
                waiting.answer.set_exception(WorkerLostError())


def _header(text: str) -> bytes:
    """Names may hold any character; a header may not."""
    return text.encode("ascii", "backslashreplace").replace(b"\r", b" ").replace(b"\n", b" ")


def _ending(code: int | None) -> str | None:
    if code is None:
        return None
    return f"signal {-code}" if code < 0 else f"exit code {code}"
