"""One served name, moved towards what is wanted under it.

It has one task. A new version is brought up beside the one that works, and takes its place between
two requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from urllib.parse import quote

from model_server import metrics, options
from model_server.errors import FetchError, FolderChangedError, LoadError
from model_server.following.loader import Loader
from model_server.following.registry import Missing
from model_server.models.entry import Entry
from model_server.models.target import Target
from model_server.models.version import Version
from model_server.remedies import with_remedy

log = logging.getLogger(__name__)

FETCH_AGAIN = (1, 2, 4, 8, 15, 30, 60)
"""Seconds before the next try when the files did not arrive."""
LOAD_AGAIN = 600
"""Seconds before the next try when the files arrived and do not work: they will not get better,
but what they need may come back."""


class Deployment:
    """One served name."""

    def __init__(self, name: str, loader: Loader, swapped: Callable[[], None]) -> None:
        """`swapped` is called whenever another version, or none, is served."""
        self.name = name
        self.wanted: Target | Missing | None = None
        self.serving: Version | None = None
        self.problem: str | None = None
        self.own_files: frozenset[str] = frozenset()
        """Files in its folder that the model rewrites: a cache that it kept there before a
        restart."""
        self.progress: str | None = None
        """What takes long about the version that comes."""
        self._loader = loader
        self._swapped = swapped
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._anew = False
        self._rewritten: frozenset[str] = frozenset()
        self._roll: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._follow(), name=f"deployment {name}")

    def want(self, wanted: Target | Missing | None) -> None:
        """Move towards this, or nothing; what is under way for another version is given up."""
        same = wanted == self.wanted or (
            _identity(wanted) is not None and _identity(wanted) == _identity(self.wanted)
        )
        self.wanted = wanted
        if not same:
            self._start_over()

    def try_again(self) -> None:
        """Load it again if it failed, or is served by other tags than the version has by now."""
        if self.state == "failed" or (
            self.state == "serving" and _tags(self.wanted) != _tags(self._target)
        ):
            self._anew = True
            self._start_over()

    async def settled(self) -> None:
        """Wait until what is wanted is served, or is known to fail."""
        await self._settled.wait()

    def _start_over(self) -> None:
        self._settled.clear()
        self._changed.set()
        if self._roll:
            self._roll.cancel()

    @property
    def invocations(self) -> str:
        """Path of its predictions."""
        return f"/models/{quote(self.name, safe='')}/invocations"

    def entry(self) -> Entry:
        """What /models says of it."""
        wanted, version = self.wanted, self.serving
        entry = Entry(
            name=self.name,
            state=self.state,
            version=version.target.version if version else None,
            because=wanted.because if wanted else None,
            wanted_version=wanted.version if isinstance(wanted, Target) else None,
            problem=self.problem or self.failing,
            progress=self.progress,
            warnings=version.warnings if version else [],
            invocations=self.invocations,
        )
        if version:
            version.describe(entry)
        return entry

    @property
    def _target(self) -> Target | None:
        """What is served."""
        return self.serving.target if self.serving else None

    @property
    def failing(self) -> str | None:
        """Why what is served cannot be asked now."""
        return self.serving.failing if self.serving else None

    @property
    def is_shadow(self) -> bool:
        """Whether it is there for another's requests, and only to compare."""
        return isinstance(self.wanted, Target) and self.wanted.shadows is not None

    def shadows(self, name: str) -> bool:
        """Whether the version that it serves is there for the requests of `name`: another model
        may have been asked for under the name that the shadow has."""
        target = self.wanted if self.state == "serving" else self._target
        return isinstance(target, Target) and target.shadows == name

    @property
    def state(self) -> str:
        """serving, loading (another version comes), failed (it does not), missing, unloaded (by
        the API), stopping."""
        if self.wanted is None:
            return "stopping"
        if isinstance(self.wanted, Missing):
            return self.wanted.state
        if _identity(self.wanted) == _identity(self._target):
            return "serving"
        return "failed" if self.problem else "loading"

    async def close(self) -> None:
        """End its task and its workers."""
        self._task.cancel()
        await asyncio.wait([self._task])
        metrics.forget_failures(self.name)
        self._settled.set()
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
            self.progress = None
            if self._roll.cancelled():
                attempts = 0
                continue
            if error := self._roll.exception():
                again = self._failed(error, attempts)
                attempts += 1
            if not self._changed.is_set():
                self._settled.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await self._changed.wait()
                    attempts = 0

    async def _step(self) -> None:
        wanted = self.wanted
        self.problem = wanted.problem if isinstance(wanted, Missing) else None
        if not isinstance(wanted, Target):
            self._swap(None)
        elif self._anew or _identity(wanted) != _identity(self._target):
            older = None if self.serving else self._loader.served_before(wanted)
            protects = bool(self.serving or older)
            try:
                version = await self._loader.bring_up(wanted, self._say, must_answer=protects)
            except (FetchError, LoadError) as error:
                if not older:
                    raise
                await self._go_back(older, wanted, error)
            else:
                self._swap(version)
        self._anew = False

    async def _go_back(self, older: Target, wanted: Target, problem: Exception) -> None:
        """Keep what was served before a restart, as it would have stayed without one."""
        try:
            version = await self._loader.bring_up(older, self._say, must_answer=False)
        except (FetchError, LoadError) as error:
            log.warning(
                "what was served before does not work any more",
                extra={"model": self.name, "version": older.version, "reason": str(error)},
            )
            version = await self._loader.bring_up(wanted, self._say, must_answer=False)
            self._swap(version)
            return
        self._swap(version)
        raise problem

    def _say(self, progress: str) -> None:
        self.progress = progress

    def _swap(self, version: Version | None) -> None:
        old, self.serving = self.serving, version
        self._rewritten = frozenset()
        # In this order: a model made anew has the same labels as the one it replaces.
        if old:
            old.metrics.is_served = False
        if version:
            version.metrics.is_served = True
        if old:
            self._loader.in_background(self._loader.retire(old))
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
            self._swapped()

    def _failed(self, error: BaseException, attempts: int) -> float:
        """Make the failure known. Returns the seconds until the next try."""
        fetching = isinstance(error, FetchError)
        if isinstance(error, FolderChangedError):
            # Once it may have been a user. Twice in a row, while it was loaded, it was the model.
            self.own_files |= error.rewritten & self._rewritten
            self._rewritten = error.rewritten
        stage = "fetch" if fetching else "load"
        self.problem = (
            with_remedy(str(error))
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


def _identity(target: Target | Missing | None) -> str | None:
    return target.identity if isinstance(target, Target) else None


def _tags(target: Target | Missing | None) -> dict[str, str]:
    """Those that say how it is served."""
    if not isinstance(target, Target):
        return {}
    return {tag: value for tag, value in target.tags.items() if tag.startswith(options.PREFIX)}
