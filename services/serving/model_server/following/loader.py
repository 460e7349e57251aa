"""The way of a version in, and out again: its files, its environment, its workers."""

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from model_server import options
from model_server.environments import needs
from model_server.environments.environments import Environment, Environments, Say
from model_server.errors import FetchError, FolderChangedError, LoadError
from model_server.following.cache import Cache
from model_server.following.fetch import Fetcher
from model_server.models.target import Target
from model_server.models.version import Version
from model_server.options import Options
from model_server.settings import Settings

log = logging.getLogger(__name__)

DISK_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


class Loader:
    """Brings versions up and retires them, a few at a time."""

    def __init__(
        self, settings: Settings, cache: Cache, fetcher: Fetcher, environments: Environments
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._fetcher = fetcher
        self._environments = environments
        self._loads = asyncio.Semaphore(settings.loads)
        self._obtaining: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._held: Counter[str] = Counter()
        """Identities of versions, from their way in to the end of their workers: files stay."""
        self._coming: list[Target] = []
        self._disk = asyncio.Lock()
        """Held to write the record or drop files, one at a time."""
        self._background: set[asyncio.Task[None]] = set()

    def served_before(self, target: Target) -> Target | None:
        """The other version that was served under its name by the same word, when the server
        ended."""
        older = self._cache.served().get(target.name)
        if older is None or older.identity == target.identity:
            return None
        return older if older.because == target.because else None

    async def bring_up(self, target: Target, say: Say, *, must_answer: bool = True) -> Version:
        """A version that is ready to answer; to be given to `retire` in the end. `say` is told
        what takes long. With `must_answer`, its own input example has to get a 200: its failure
        is a warning else. Raises FetchError, LoadError."""
        self._held[target.identity] += 1
        try:
            return await self._bring_up(target, say, must_answer)
        except BaseException:
            self._release(target)
            raise

    async def retire(self, version: Version) -> None:
        """Let it answer what it was asked, then end it."""
        try:
            await version.drain()
        finally:
            self._release(version.target)
        await self._trim()

    async def _bring_up(self, target: Target, say: Say, must_answer: bool) -> Version:
        started = time.monotonic()
        async with self._turn(say):
            say("fetching its files")
            folder = await self._obtain(target)
        say("reading what it needs")
        fetched = time.monotonic()
        noted = await asyncio.to_thread(needs.metadata, folder)
        tags = {str(key): str(value) for key, value in noted.items()} | target.tags
        chosen, warnings = options.options(self._settings, tags)
        environment = await self._environments.find(folder, chosen.environment, say)
        try:
            version = await self._load(target, folder, chosen, environment, must_answer, say)
        except LoadError as error:
            if not environment.may_lack(error):
                raise
            environment = await self._environments.instead(folder, environment, say)
            version = await self._load(target, folder, chosen, environment, must_answer, say)
        version.warnings += warnings
        log.info(
            "version loaded",
            extra={
                "model": target.name,
                "version": target.version,
                "fetch_seconds": round(fetched - started, 3),
                "load_seconds": round(time.monotonic() - fetched, 3),
            },
        )
        return version

    async def _load(
        self,
        target: Target,
        folder: Path,
        chosen: Options,
        environment: Environment,
        must_answer: bool,
        say: Say,
    ) -> Version:
        async with self._turn(say):
            say("loading in its own environment" if environment.python else "loading")
            version = Version(target, folder, self._settings, chosen, environment)
            try:
                await version.start(lambda error: not (must_answer or environment.may_lack(error)))
            except FolderChangedError:
                raise
            except LoadError as error:
                raise LoadError(environment.explain(error)) from None
        if version.uncompiled and environment.python:
            compiling = self._environments.compile(environment.python, version.uncompiled)
            self.in_background(compiling)
        return version

    @contextlib.asynccontextmanager
    async def _turn(self, say: Say) -> AsyncIterator[None]:
        if self._loads.locked():
            say("waiting for its turn to load (SERVING_LOADS)")
        async with self._loads:
            yield

    async def _obtain(self, target: Target) -> Path:
        if target.is_folder:
            # Where a link leads to, as MLflow loads from no link.
            folder = Path(target.files.place if target.files else target.uri)
            if not (folder / "MLmodel").is_file():
                raise LoadError("there is no folder with an MLmodel file at this path")
            return folder
        # Two names may want the same files, which then come once.
        async with self._obtaining.setdefault(target.identity, asyncio.Lock()):
            async with self._disk:
                pass  # a dropping under way may not know yet that this one is held
            try:
                cached = await asyncio.to_thread(self._cache.find, target)
                return cached or await self._fetch(target)
            except OSError as error:
                problem = FetchError(f"the cache cannot hold it: {os.strerror(error.errno or 0)}")
            except FetchError as error:
                problem = error
            if any(reason in str(problem) for reason in DISK_FULL):
                await self._trim(to_nothing=True)  # there may be room at the next try
            raise problem

    async def _fetch(self, target: Target) -> Path:
        try:
            incoming = await _to_its_end(self._cache.incoming, target)
            await self._fetcher.fetch(target.uri, incoming)
            return await _to_its_end(self._cache.keep, target, incoming)
        finally:
            await _to_its_end(self._cache.clear_incoming, target)

    def expect(self, coming: list[Target]) -> None:
        """Take note of all that is wanted, served yet or not: its files stay."""
        self._coming = coming

    async def record(self, serving: Callable[[], dict[str, Version]]) -> None:
        """Write down what is served from the cache, for a start without the registry. `serving`
        says what is, by name, at the time that it is called."""
        async with self._disk:
            served = {
                name: version.target
                for name, version in serving().items()
                if not version.target.is_folder
            }
            try:
                await asyncio.to_thread(self._cache.record, served, self._coming)
            except OSError as error:
                log.error("what is served cannot be recorded", extra={"reason": error.strerror})
        await self._trim()
        pythons = (version.environment.python for version in serving().values())
        await self._environments.tidy({python for python in pythons if python})

    async def _trim(self, *, to_nothing: bool = False) -> None:
        async with self._disk:
            needed = {*self._held, *(target.identity for target in self._coming)}
            await asyncio.to_thread(self._cache.trim, needed, to_nothing=to_nothing)

    def _release(self, target: Target) -> None:
        self._held[target.identity] -= 1
        if not self._held[target.identity]:
            del self._held[target.identity]

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside all else; `close` waits for it."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Let what is under way in the background come to its end."""
        if self._background:
            await asyncio.wait(self._background, timeout=2)


_Done = TypeVar("_Done")


async def _to_its_end(call: Callable[..., _Done], *arguments: object) -> _Done:
    """Call in a thread, which cannot be cancelled: whoever gives up waits, so that nothing touches
    its files meanwhile."""
    work = asyncio.create_task(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
