"""What is served under each name, and the way of a version's files into it.

Each name has a task of its own, so a slow or broken model holds up no other.
"""

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from weakref import WeakValueDictionary

from model_server import options
from model_server.environments import needs
from model_server.environments.environments import Environment, Environments, Say
from model_server.errors import FetchError, FolderChangedError, LoadError
from model_server.following.cache import Cache
from model_server.following.deployment import Deployment
from model_server.following.fetch import Fetcher
from model_server.following.registry import Desired, Target
from model_server.options import Options
from model_server.settings import Settings
from model_server.workers.version import Version

log = logging.getLogger(__name__)

DISK_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


class Deployments:
    def __init__(
        self,
        settings: Settings,
        cache: Cache,
        fetcher: Fetcher,
        environments: Environments,
        quote: Callable[[str], str],
    ) -> None:
        self.quote = quote
        self._settings = settings
        self._cache = cache
        self._fetcher = fetcher
        self._environments = environments
        self._all: dict[str, Deployment] = {}
        self.are_told = False
        """Whether there has been a word on what to serve."""
        self._loads = asyncio.Semaphore(settings.loads)
        self._obtaining: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._held: Counter[str] = Counter()
        """Identities of versions, from their way in to the end of their workers: files stay."""
        self._disk = asyncio.Lock()
        """For writing the record and dropping files, one at a time."""
        self._background: set[asyncio.Task] = set()

    def apply(self, desired: Desired) -> None:
        """Take note of what is to be served; the rest happens by itself."""
        self.are_told = True
        for name, wanted in desired.items():
            if name not in self._all:
                self._all[name] = Deployment(name, self)
            self._all[name].want(wanted)
        for name in self._all.keys() - desired.keys():
            deployment = self._all[name]
            deployment.want(None)
            if deployment.serving is None:
                del self._all[name]
                self.in_background(deployment.close())

    def find(self, name: str) -> Deployment | None:
        return self._all.get(name)

    def default(self, permits: Callable[[str], bool] = lambda _: True) -> Deployment | None:
        """SERVING_DEFAULT, or the only one there is, of those whose name `permits` lets see."""
        if name := self._settings.default:
            return self._all.get(name) if permits(name) else None
        serving = [one for one in self._all.values() if not one.is_shadow and permits(one.name)]
        return serving[0] if len(serving) == 1 else None

    @property
    def serve_any(self) -> bool:
        """Whether any model would answer."""
        return any(one.serving and not one.is_shadow for one in self._all.values())

    def status(self, permits: Callable[[str], bool] = lambda _: True) -> list[dict]:
        """Of all whose name `permits` lets see."""
        return [self._all[name].status() for name in sorted(self._all) if permits(name)]

    def wanted(self) -> list[tuple[str, str]]:
        """Name and version of all that is to be served, whether it is or not."""
        return [(target.name, target.version) for target in self._coming()]

    def missing(self, names: list[str]) -> dict[str, str]:
        """Which of `names` are not served, and why."""
        return {
            name: (deployment and (deployment.problem or deployment.failing)) or "not loaded yet"
            for name in names
            if (deployment := self._all.get(name)) is None
            or (deployment.serving is None and deployment.state != "unloaded")
            or deployment.failing
        }

    def served_before(self, target: Target) -> Target | None:
        """The other version that was served under its name by the same word, when the server
        ended."""
        found = self._cache.served().get(target.name)
        is_other = found and found.identity != target.identity
        return found if is_other and found.because == target.because else None

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
        found, warnings = options.options(self._settings, tags)
        environment = await self._environments.find(folder, found.environment, say)
        try:
            version = await self._load(target, folder, found, environment, must_answer, say)
        except LoadError as error:
            if not environment.may_lack(error):
                raise
            environment = await self._environments.instead(folder, environment, say)
            version = await self._load(target, folder, found, environment, must_answer, say)
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
        found: Options,
        environment: Environment,
        must_answer: bool,
        say: Say,
    ) -> Version:
        async with self._turn(say):
            say("loading in its own environment" if environment.python else "loading")
            version = Version(target, folder, self._settings, found, environment)
            try:
                await version.start(lambda error: not (must_answer or environment.may_lack(error)))
            except FolderChangedError:
                raise
            except LoadError as error:
                raise LoadError(environment.explain(error)) from None
        if version.uncompiled:
            self.in_background(self._environments.compile(environment, version.uncompiled))
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
                found = await asyncio.to_thread(self._cache.find, target)
                return found or await self._fetch(target)
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

    async def record(self) -> None:
        """Write down what is served from the cache, for a start without the registry."""
        async with self._disk:
            served = {
                name: deployment.serving.target
                for name, deployment in self._all.items()
                if deployment.serving and not deployment.serving.target.is_folder
            }
            try:
                await asyncio.to_thread(self._cache.record, served, self._coming())
            except OSError as error:
                log.error("what is served cannot be recorded", extra={"reason": error.strerror})
        await self._trim()
        serving = (deployment.serving for deployment in self._all.values())
        await self._environments.tidy({one.environment.python for one in serving if one})

    async def _trim(self, *, to_nothing: bool = False) -> None:
        async with self._disk:
            needed = {*self._held, *(target.identity for target in self._coming())}
            await asyncio.to_thread(self._cache.trim, needed, to_nothing=to_nothing)

    def _coming(self) -> list[Target]:
        """Wanted, whether served yet or not."""
        wanted = (deployment.wanted for deployment in list(self._all.values()))
        return [target for target in wanted if isinstance(target, Target)]

    def _release(self, target: Target) -> None:
        self._held[target.identity] -= 1
        if not self._held[target.identity]:
            del self._held[target.identity]

    def in_background(self, work) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """End all workers. What is served stays on record."""
        await asyncio.gather(*(deployment.close() for deployment in self._all.values()))
        if self._background:
            await asyncio.wait(self._background, timeout=2)


async def _to_its_end(call: Callable, *arguments: object):
    """In a thread, which cannot be cancelled: whoever gives up waits, so that nothing touches its
    files meanwhile."""
    work = asyncio.create_task(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
