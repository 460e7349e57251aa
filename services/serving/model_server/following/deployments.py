"""What is served under each name.

Each name has a task of its own, so a slow or broken model holds up no other.
"""

import asyncio
from collections.abc import Callable

from model_server.following.deployment import Deployment
from model_server.following.loader import Loader
from model_server.following.registry import Desired
from model_server.models.target import Target
from model_server.models.version import Version


class Deployments:
    """Every served name, and its deployment."""

    def __init__(self, loader: Loader, default: str | None = None) -> None:
        """`default`: SERVING_DEFAULT, the name that is meant where none is said."""
        self._loader = loader
        self._default = default
        self._all: dict[str, Deployment] = {}
        self.are_told = False
        """Whether there has been a word on what to serve."""

    def apply(self, desired: Desired) -> None:
        """Take note of what is to be served; the rest happens by itself."""
        self.are_told = True
        for name, wanted in desired.items():
            if name not in self._all:
                self._all[name] = Deployment(name, self._loader, self._record)
            self._all[name].want(wanted)
        for name in self._all.keys() - desired.keys():
            deployment = self._all[name]
            deployment.want(None)
            if deployment.serving is None:
                del self._all[name]
                self._loader.in_background(deployment.close())
        self._loader.expect(self._coming())

    def find(self, name: str) -> Deployment | None:
        """The deployment of this name."""
        return self._all.get(name)

    def default(self, permits: Callable[[str], bool] = lambda _: True) -> Deployment | None:
        """SERVING_DEFAULT, or the only one there is, of those whose name `permits` lets see."""
        if name := self._default:
            return self._all.get(name) if permits(name) else None
        serving = [one for one in self._all.values() if not one.is_shadow and permits(one.name)]
        return serving[0] if len(serving) == 1 else None

    @property
    def serve_any(self) -> bool:
        """Whether any model would answer."""
        return any(one.serving and not one.is_shadow for one in self._all.values())

    def visible(self, permits: Callable[[str], bool] = lambda _: True) -> list[Deployment]:
        """All whose name `permits` lets see, in the order of the names."""
        return [self._all[name] for name in sorted(self._all) if permits(name)]

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

    def _serving(self) -> dict[str, Version]:
        return {name: one.serving for name, one in self._all.items() if one.serving}

    def _record(self) -> None:
        self._loader.in_background(self._loader.record(self._serving))

    def _coming(self) -> list[Target]:
        """Wanted, whether served yet or not."""
        wanted = (deployment.wanted for deployment in list(self._all.values()))
        return [target for target in wanted if isinstance(target, Target)]

    async def close(self) -> None:
        """End all workers. What is served stays on record."""
        await asyncio.gather(*(deployment.close() for deployment in self._all.values()))
        await self._loader.close()
