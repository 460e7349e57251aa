"""What is served under each name, moved towards what is wanted.

Each name has one task, so a slow or broken model holds up no other. A new version is fetched,
checked, loaded and warmed up beside the one that works, and takes its place between two requests.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from model_server import metrics
from model_server.errors import FetchError, LoadError
from model_server.following.cache import Cache
from model_server.following.fetch import Fetcher
from model_server.following.registry import Desired, Missing, Target
from model_server.settings import Settings
from model_server.workers.version import Version

log = logging.getLogger(__name__)

FETCH_AGAIN = (1, 2, 4, 8, 15, 30, 60)
"""Seconds before the next try when the files did not arrive."""
LOAD_AGAIN = 600
"""Seconds before the next try when the files arrived and do not work: they will not get better,
but what they need may come back."""


class Deployment:
    """One served name."""

    def __init__(self, name: str, owner: "Deployments") -> None:
        self.name = name
        self.wanted: Target | Missing | None = None
        self.serving: Version | None = None
        self.problem: str | None = None
        self._owner = owner
        self._changed = asyncio.Event()
        self._roll: asyncio.Task | None = None
        self._task = asyncio.create_task(self._follow(), name=f"deployment {name}")

    def want(self, wanted: Target | Missing | None) -> None:
        """None: no longer wanted at all. What is under way for another version is given up."""
        if wanted == self.wanted:
            return
        same = _identity(wanted) is not None and _identity(wanted) == _identity(self.wanted)
        self.wanted = wanted
        if same:
            return
        self._changed.set()
        if self._roll:
            self._roll.cancel()

    def status(self) -> dict:
        wanted, version = self.wanted, self.serving
        status = {
            "name": self.name,
            "state": self.state,
            "version": version.target.version if version else None,
            "because": wanted.because if wanted else None,
            "wanted_version": wanted.version if isinstance(wanted, Target) else None,
            "problem": self.problem,
            "warnings": version.warnings if version else [],
            "invocations": f"/models/{self._owner.quote(self.name)}/invocations",
        }
        if version:
            status["source"] = version.target.uri
            status["worker"] = version.worker
        return status

    @property
    def state(self) -> str:
        """serving, loading (another version comes), failed (it does not), missing, stopping."""
        if self.wanted is None:
            return "stopping"
        if isinstance(self.wanted, Missing):
            return "missing"
        if _identity(self.wanted) == _identity(self.serving and self.serving.target):
            return "serving"
        return "failed" if self.problem else "loading"

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.serving:
            version, self.serving = self.serving, None
            await version.stop()

    async def _follow(self) -> None:
        attempts = 0
        while True:
            again = None
            self._changed.clear()
            self._roll = asyncio.create_task(self._step())
            await asyncio.wait([self._roll])
            if self._roll.cancelled():
                attempts = 0
                continue
            if error := self._roll.exception():
                again = self._failed(error, attempts)
                attempts += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await self._changed.wait()
                    attempts = 0

    async def _step(self) -> None:
        wanted = self.wanted
        self.problem = wanted.problem if isinstance(wanted, Missing) else None
        if not isinstance(wanted, Target):
            self._swap(None)
        elif _identity(wanted) != _identity(self.serving and self.serving.target):
            self._swap(await self._owner.bring_up(wanted))

    def _swap(self, version: Version | None) -> None:
        old, self.serving = self.serving, version
        # In this order: a model made anew has the same labels as the one it replaces.
        if old:
            old.metrics.served(False)
        if version:
            version.metrics.served(True)
        if old:
            self._owner.in_background(old.drain())
        if old or version:
            log.info(
                "version swapped" if version else "no longer served",
                extra={
                    "model": self.name,
                    "version": version.target.version if version else None,
                    "from_version": old.target.version if old else None,
                    "because": self.wanted.because if self.wanted else "no longer wanted",
                },
            )
            self._owner.in_background(self._owner.record())

    def _failed(self, error: BaseException, attempts: int) -> float:
        """Make the failure known. Returns the seconds until the next try."""
        fetching = isinstance(error, FetchError)
        stage = "fetch" if fetching else "load"
        self.problem = (
            str(error)
            if isinstance(error, (FetchError, LoadError))
            else f"unexpected error ({type(error).__name__}); the log has the details"
        )
        metrics.LOAD_FAILURES.labels(self.name, stage).inc()
        log.error(
            "version refused",
            exc_info=None if isinstance(error, (FetchError, LoadError)) else error,
            extra={
                "model": self.name,
                "version": self.wanted.version if isinstance(self.wanted, Target) else None,
                "stage": stage,
                "reason": self.problem,
                "still_serving": self.serving.target.version if self.serving else None,
            },
        )
        return FETCH_AGAIN[min(attempts, len(FETCH_AGAIN) - 1)] if fetching else LOAD_AGAIN


class Deployments:
    def __init__(
        self, settings: Settings, cache: Cache, fetcher: Fetcher, quote: Callable[[str], str]
    ) -> None:
        self.quote = quote
        self._settings = settings
        self._cache = cache
        self._fetcher = fetcher
        self._all: dict[str, Deployment] = {}
        self._loads = asyncio.Semaphore(settings.loads)
        self._obtaining: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recording = asyncio.Lock()
        self._background: set[asyncio.Task] = set()

    def apply(self, desired: Desired) -> None:
        """Take note of what is to be served; the rest happens by itself."""
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

    def default(self) -> Deployment | None:
        """SERVING_DEFAULT, or the only one there is."""
        if self._settings.default:
            return self._all.get(self._settings.default)
        return next(iter(self._all.values())) if len(self._all) == 1 else None

    def status(self) -> list[dict]:
        return [self._all[name].status() for name in sorted(self._all)]

    def missing(self, names: list[str]) -> dict[str, str]:
        """Which of `names` are not served, and why."""
        return {
            name: (deployment.problem if deployment else None) or "not loaded yet"
            for name in names
            if not (deployment := self._all.get(name)) or deployment.serving is None
        }

    async def bring_up(self, target: Target) -> Version:
        """A version that is ready to answer. Raises FetchError, LoadError."""
        async with self._loads:
            started = time.monotonic()
            folder = await self._obtain(target)
            fetched = time.monotonic()
            version = Version(target, folder, self._settings)
            await version.start()
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

    async def _obtain(self, target: Target) -> Path:
        if target.is_folder:
            folder = Path(target.uri)
            if not (folder / "MLmodel").is_file():
                raise LoadError("there is no folder with an MLmodel file at this path")
            return folder
        # Two names may want the same files, which then come once.
        async with self._obtaining.setdefault(target.identity, asyncio.Lock()):
            found = await asyncio.to_thread(self._cache.find, target)
            if found:
                return found
            try:
                incoming = await _to_its_end(self._cache.incoming, target)
                await self._fetcher.fetch(target.uri, incoming)
                return await _to_its_end(self._cache.keep, target, incoming)
            finally:
                await _to_its_end(self._cache.clear_incoming, target)

    async def record(self) -> None:
        """Write down what is served from the cache, for a start without the registry."""
        async with self._recording:
            served = {
                name: deployment.serving.target
                for name, deployment in self._all.items()
                if deployment.serving and not deployment.serving.target.is_folder
            }
            coming = [
                deployment.wanted
                for deployment in self._all.values()
                if isinstance(deployment.wanted, Target)
            ]
            await asyncio.to_thread(self._cache.record, served, coming)

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


def _identity(target: Target | Missing | None) -> str | None:
    return target.identity if isinstance(target, Target) else None
