"""What the bearer of a token may do."""

import time
from dataclasses import dataclass, field

from model_server.errors import RefusedError, overloaded_by


class Bucket:
    """At most `rate` requests a second, and as many at once as fit into one second."""

    __slots__ = ("_at", "_left", "_most", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._at = time.monotonic()

    def take(self) -> float:
        """0 when a request may pass, else the seconds until one may."""
        now = time.monotonic()
        left = min(self._most, self._left + (now - self._at) * self.rate)
        self._at = now
        if left < 1:
            self._left = left
            return (1 - left) / self.rate
        self._left = left - 1
        return 0.0


@dataclass(frozen=True)
class Grant:
    """One token's scopes. models: served names, None for all of them. expires: Unix seconds."""

    name: str
    models: frozenset[str] | None = frozenset()
    manage: bool = False
    metrics: bool = False
    expires: float | None = None
    bucket: Bucket | None = field(default=None, compare=False)

    def permits(self, model: str) -> bool:
        return self.models is None or model in self.models

    def need(self, model: str) -> None:
        """Raises RefusedError 403: whether there is such a model is nobody's business either."""
        if not self.permits(model):
            raise _lacks(f"the model {model!r}")

    def need_metrics(self) -> None:
        """Raises RefusedError 403."""
        if not self.metrics:
            raise _lacks("metrics")

    def need_manage(self) -> None:
        """Raises RefusedError 403."""
        if not self.manage:
            raise _lacks("management")

    def count(self) -> None:
        """Raises RefusedError 429 when its rate is used up."""
        if self.bucket and (seconds := self.bucket.take()):
            raise overloaded_by(self.name, self.bucket.rate, seconds)


OPEN = Grant("", models=None, metrics=True)
"""Everybody's where no token is asked for. Management always takes one."""


def _lacks(scope: str) -> RefusedError:
    return RefusedError(403, "PERMISSION_DENIED", f"This token does not open {scope}.")
