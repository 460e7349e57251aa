"""Looks at the registry again and again, and tells the deployments."""

import asyncio
import logging
import time
from collections.abc import Sequence

from model_server import metrics
from model_server.following.cache import Cache
from model_server.following.deployments import Deployments
from model_server.following.registry import Desired, Registry, RegistryError, without_registry
from model_server.following.wanted import Wanted

log = logging.getLogger(__name__)


class Follower:
    """Without a registry, only the models that need none are served."""

    def __init__(
        self,
        registry: Registry | None,
        wanted: Sequence[Wanted],
        cache: Cache,
        deployments: Deployments,
        poll: float,
    ) -> None:
        self._registry = registry
        self._fixed = without_registry(wanted)
        self._wanted = [entry for entry in wanted if entry.uri is None]
        self._asks = registry is not None and not (wanted and not self._wanted)
        self._cache = cache
        self._deployments = deployments
        self._poll = poll
        self.knows = not self._asks
        """Whether there has been a word on what to serve: the registry's, or the cache's."""
        self.problem: str | None = None
        self._since = time.time()

    def status(self) -> dict | None:
        if not self._asks:
            return None
        return {"reachable": self.problem is None, "problem": self.problem, "since": self._since}

    async def run(self) -> None:
        if not self._asks:
            self._deployments.apply(self._fixed)
            return
        while True:
            try:
                desired = await self._registry.desired(self._wanted)
            except RegistryError as error:
                self._note(str(error))
                if not self.knows:
                    self._deployments.apply(self._from_cache() | self._fixed)
            else:
                self._note(None)
                self._deployments.apply(desired | self._fixed)
            self.knows = True
            await asyncio.sleep(self._poll)

    def _from_cache(self) -> Desired:
        """What was served before, as far as the settings still ask for it."""
        asked = {entry.because for entry in self._wanted}
        alias = self._registry.because
        return {
            name: target
            for name, target in self._cache.served().items()
            if target.because in asked or (not asked and target.because == alias)
        }

    def _note(self, problem: str | None) -> None:
        metrics.REGISTRY_UP.set(problem is None)
        if (problem is None) == (self.problem is None) and self.knows:
            self.problem = problem
            return
        self.problem = problem
        self._since = time.time()
        if problem:
            log.warning("registry unreachable", extra={"reason": problem})
        else:
            log.info("registry answers")
