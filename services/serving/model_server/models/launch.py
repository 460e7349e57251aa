"""How a worker of a version is started: its model loaded, its own input example answered."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from model_server.confinement.quarters import enter, move_in, reason
from model_server.confinement.way_out import WayOut
from model_server.errors import (
    REASON_LIMIT,
    ExampleError,
    FolderChangedError,
    LoadError,
    bounded,
)
from model_server.models.folder import look
from model_server.models.target import Target
from model_server.options import Options
from model_server.processes import process, wire
from model_server.remedies import with_remedy
from model_server.settings import Settings

log = logging.getLogger(__name__)

_greeting = wire.Greetings()
_reply = msgspec.msgpack.Decoder(wire.Reply)


class _Error(msgspec.Struct, frozen=True):
    message: str = ""


_error = msgspec.json.Decoder(_Error)


class Launch:
    """How a version's workers are started: the same for the first and for every later one."""

    def __init__(
        self, target: Target, folder: Path, settings: Settings, options: Options, python: str | None
    ) -> None:
        self._target = target
        self._folder = folder
        self._options = options
        self._python = python
        self._settings = settings
        self._load_timeout = settings.load_timeout
        self._timeout = settings.timeout
        self.way_out: WayOut | None = None
        """What the workers may reach of the network."""
        self._has_served = False
        self._harm: ExampleError | None = None
        """How the example ended a process, or held it up: it is not asked again."""
        self.forgives: Callable[[ExampleError], bool] = lambda _: False
        """Whether the first worker may serve in spite of this. All later ones may."""

    async def __call__(self) -> tuple[process.Child, wire.Loaded]:
        """A warm worker. Raises LoadError, and then leaves nothing behind."""
        try:
            child, loaded = await self._start()
        except ExampleError as error:
            if not self._may_serve(error):
                raise
            self._harm = error
            child, loaded = await self._start()
        self._has_served = True
        return child, loaded

    async def _start(self) -> tuple[process.Child, wire.Loaded]:
        await self._check_folder()
        if self._settings.confinement == "required" and (lacks := reason(self._settings)):
            raise LoadError(f"models cannot be confined here (SERVING_CONFINEMENT): {lacks}")
        quarters = await enter(
            move_in, self._settings, [self._folder], self._python, (), self.way_out
        )
        child = await process.spawn(
            "model_server.children.worker",
            self._target.name,
            self._target.version,
            str(self._folder),
            self._options,
            name=f"worker {self._target.name} {self._target.version}",
            python=self._python,
            about={"model": self._target.name, "version": self._target.version},
            quarters=quarters,
        )
        child.channel.most = self._options.answer_limit
        started = time.monotonic()
        limit, act, problem = self._load_timeout, "loading", LoadError
        setting = "SERVING_LOAD_TIMEOUT"
        try:
            async with asyncio.timeout(limit):
                loaded = await child.channel.receive(_greeting)
            if loaded.problem:
                raise LoadError(loaded.problem)
            if self._asks(loaded):
                act, problem = "answering its own input example", ExampleError
                limit -= time.monotonic() - started
                if self._has_served and self._timeout < limit:  # clients may wait for this worker
                    limit, setting = self._timeout, "SERVING_TIMEOUT"
                async with asyncio.timeout(limit):
                    await self._warm_up(child, loaded, time.monotonic() + limit)
            await self._check_folder(while_loading=True)
        except BaseException as error:
            code = await asyncio.shield(child.end())
            if isinstance(error, TimeoutError):
                raise problem(f"it was still {act} after {limit:.3g} s ({setting})") from None
            if isinstance(error, wire.PeerClosedError):
                raise problem(f"its process died while {act} ({process.ending(code)})") from None
            if isinstance(error, (msgspec.DecodeError, RecursionError)):
                raise problem(f"it wrote garbage while {act}: {error}") from None
            raise
        return child, loaded

    async def _check_folder(self, *, while_loading: bool = False) -> None:
        """All workers of a version load the same: of a folder that is not the cache's, what it was
        made of. Raises FolderChangedError."""
        files = self._target.files
        if files and not files.is_within(now := await asyncio.to_thread(look, self._folder)):
            raise FolderChangedError(
                "its folder was changed while it was loaded",
                files.rewritten_in(now) if while_loading else frozenset(),
            )

    def _asks(self, loaded: wire.Loaded) -> bool:
        """Whether to warm up; says why not, where nobody switched it off."""
        if not self._options.warmup:
            return False
        if self._harm:
            loaded.warnings.append(with_remedy(f"not warmed up: {self._harm}"))
        elif loaded.example is None:
            loaded.warnings.append("logged without an input example: not warmed up")
        return loaded.example is not None and not self._harm

    async def _warm_up(self, child: process.Child, loaded: wire.Loaded, deadline: float) -> None:
        """One request through the very path that users' requests take."""
        request = wire.Request(
            wire.WARM_UP, "warm-up", "application/json", loaded.example or b"", deadline
        )
        child.channel.send([request])
        reply = await child.channel.receive(_reply)
        if len(reply.answers) != 1:
            raise msgspec.DecodeError(f"{len(reply.answers)} answers to one request")
        (answer,) = reply.answers
        if answer.status == 200:
            return
        text = bounded(_error.decode(answer.body).message, REASON_LIMIT)
        error = ExampleError(f"its own input example gets a {answer.status}: {text}")
        if not self._may_serve(error):
            raise error
        loaded.warnings.append(with_remedy(f"not warmed up: {error}"))

    def _may_serve(self, error: ExampleError) -> bool:
        if not (self._has_served or self.forgives(error)):
            return False
        log.warning(
            "served in spite of its input example",
            extra={
                "model": self._target.name,
                "version": self._target.version,
                "reason": str(error),
            },
        )
        return True
