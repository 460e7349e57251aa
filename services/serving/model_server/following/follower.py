"""Looks at the registry again and again, and tells the deployments, as the API's orders have it.

What was deployed through the API goes before what SERVING_MODELS or the alias says for the same
name, and what was unloaded is not served whoever asks for it.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from model_server import metrics
from model_server.following import hints
from model_server.following.answers import RegistryError
from model_server.following.cache import Cache
from model_server.following.deployments import Deployments
from model_server.following.registry import (
    TIMEOUT,
    Desired,
    Missing,
    Registry,
    in_local_store,
    without_registry,
)
from model_server.following.watch import Watch
from model_server.models.target import Target
from model_server.wanted import Wanted

log = logging.getLogger(__name__)

FIRST_TIMEOUT = 3
"""Seconds for the first answer where the cache knows what to serve meanwhile."""


class UnknownModelError(Exception):
    """There is nothing to be served under the name; the text says why."""


class Follower:
    """Looks again and again; without a registry, only models that need none are served."""

    def __init__(
        self,
        registry: Registry | None,
        wanted: Sequence[Wanted],
        cache: Cache,
        deployments: Deployments,
        poll: float,
    ) -> None:
        self._registry = registry
        self._fixed = without_registry(wanted if registry else map(in_local_store, wanted))
        self._watches = {
            name: Watch(target.uri) for name, target in self._fixed.items() if target.is_folder
        }
        self._wanted = [entry for entry in wanted if entry.uri is None]
        self._carriers = registry is not None and not wanted
        """Whether every model that carries the alias is served."""
        self._cache = cache
        self._orders = cache.orders
        self._deployments = deployments
        self._poll = poll
        self._last: Desired = {}
        """What the registry, or before it the cache, said last."""
        self._orders_given = 0
        self.knows = not self._asks
        """Whether there has been a word on what to serve: the registry's, or the cache's."""
        self.problem: str | None = None
        self._since = self._answered = time.time()

    @property
    def _asks(self) -> bool:
        return self._carriers or (self._registry is not None and bool(self._entries()))

    def status(self) -> dict[str, Any] | None:
        """How the registry is, for /models; None where it is not asked."""
        if not self._asks:
            return None
        return {"reachable": self.problem is None, "problem": self.problem, "since": self._since}

    def hint(self, permits: Callable[[str], bool], *, serves: bool) -> str | None:
        """What to do about registered models that are not served, of those that `permits` lets
        see; with `serves` others are."""
        if not self._carriers or self.problem or self._registry is None:
            return None
        models = (model for name, model in self._registry.models.items() if permits(name))
        return hints.hint(self._registry.alias, models, serves=serves)

    def why_not(self, name: str) -> str | None:
        """Why a registered model is not served, where it lacks the alias."""
        if not self._carriers or self._registry is None:
            return None
        alias, model = self._registry.alias, self._registry.models.get(name)
        return hints.lacks(alias, model) if model and not model.version(alias) else None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            started = time.monotonic()
            await self._look()
            # A registry of hundreds of models is not to be kept busy by the looks at it.
            await asyncio.sleep(max(self._poll, time.monotonic() - started))

    async def deploy(self, wanted: Wanted) -> None:
        """Serve it from now on, over restarts too. Raises UnknownModelError, RegistryError,
        OSError, and then nothing has changed."""
        if self._registry is None:
            raise UnknownModelError("This server follows no registry: MLFLOW_TRACKING_URI.")
        target = await self._registry.resolve(wanted)
        if isinstance(target, Missing):
            raise UnknownModelError(target.problem)
        await asyncio.to_thread(self._orders.deploy, wanted)
        self._last = self._last | {wanted.name: target}
        self._apply_orders()

    async def undo(self, name: str) -> None:
        """Forget a deployment; what else asks for the name is served by the next look.
        Raises UnknownModelError, OSError."""
        if name not in self._orders.deployed:
            raise UnknownModelError(f"Nothing was deployed as {name!r} through the API.")
        await asyncio.to_thread(self._orders.undo, name)
        self._last = {key: target for key, target in self._last.items() if key != name}
        self._orders_given += 1
        await self._look()

    async def unload(self, name: str) -> None:
        """Serve it no more, whatever the registry says, over restarts too, until `load`.
        Raises UnknownModelError, OSError."""
        if self._deployments.find(name) is None:
            raise UnknownModelError(f"There is no model {name!r}; see /models.")
        await asyncio.to_thread(self._orders.unload, name)
        self._apply_orders()

    async def load(self, name: str) -> None:
        """Undo an unload; try again what failed; load anew what has other `serving.` tags now.
        Raises UnknownModelError, OSError."""
        if name in self._orders.unloaded:
            await asyncio.to_thread(self._orders.load, name)
        if isinstance(target := self._last.get(name), Target) and self._registry:
            self._registry.forget(target)
        self._orders_given += 1
        await self._look()
        deployment = self._deployments.find(name)
        if deployment is None:
            raise UnknownModelError(self.problem or f"Nothing is to be served as {name!r}.")
        deployment.try_again()

    async def _look(self) -> None:
        """Ask once; again when the API gave an order meanwhile, which the answer cannot know."""
        await self._look_at_folders()
        while True:
            orders = self._orders_given
            if self._asks and self._registry:
                await self._ask(self._registry)
            if orders == self._orders_given:
                break
        self.knows = True
        self._apply()

    async def _look_at_folders(self) -> None:
        for name, watch in self._watches.items():
            deployment = self._deployments.find(name)
            works = deployment is not None and deployment.state != "failed"
            own = deployment.own_files if deployment else frozenset()
            await asyncio.to_thread(watch.look, works=works, own=own)
            if watch.taken and watch.taken != self._fixed[name].files:
                identity = f"{name} {watch.taken.identity}"
                self._fixed[name] = replace(
                    self._fixed[name],
                    identity=hashlib.sha256(identity.encode()).hexdigest(),
                    files=watch.taken,
                )

    async def _ask(self, registry: Registry) -> None:
        cached: Desired = {} if self.knows else self._from_cache(registry)
        timeout = FIRST_TIMEOUT if cached else TIMEOUT
        try:
            self._last = await registry.desired(self._entries(), self._carriers, timeout)
        except RegistryError as error:
            self._note(str(error))
            if not self.knows:
                self._last = cached
        else:
            self._answered = time.time()
            self._note(None)

    def _entries(self) -> list[Wanted]:
        """What the registry is to be asked for by name."""
        entries = {entry.name: entry for entry in self._wanted} | self._orders.deployed
        return list(entries.values())

    def _apply_orders(self) -> None:
        self._orders_given += 1
        self._apply()

    def _apply(self) -> None:
        unloaded: Desired = {
            name: Missing(name, "unloaded through the API", None, "unloaded")
            for name in self._orders.unloaded
        }
        last = {
            name: target
            for name, target in self._last.items()
            if not (isinstance(target, Target) and target.shadows in unloaded)
            and (name in self._orders.deployed or name not in self._fixed)
        }
        fixed: Desired = {
            name: Missing(name, target.because, "its folder is being written", "loading")
            if name in self._watches and target.files is None
            else target
            for name, target in self._fixed.items()
        }
        self._deployments.apply(fixed | last | unloaded)

    def _from_cache(self, registry: Registry) -> Desired:
        """What was served before, as far as it is still asked for."""
        asked = {entry.because for entry in self._entries()}
        if self._carriers:
            asked.add(registry.because)
        served = self._cache.served()
        return {name: target for name, target in served.items() if target.because in asked}

    def _note(self, problem: str | None) -> None:
        metrics.REGISTRY_UP.set(problem is None)
        metrics.REGISTRY_ANSWERED.set(self._answered)
        if (problem is None) == (self.problem is None) and self.knows:
            self.problem = problem
            return
        self.problem = problem
        self._since = time.time()
        if problem:
            log.warning("registry unreachable", extra={"reason": problem})
        else:
            log.info("registry answers")
