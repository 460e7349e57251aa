"""What the bearer of a token may do."""

import time
from dataclasses import dataclass, field
from enum import Enum, auto

from model_server.errors import RefusedError, overloaded_by


class Need(Enum):
    """What a token has to open before a request is handled, on top of being known. Each route says
    its own; what the handler then answers is of models that the token opens."""

    NOTHING = auto()
    """Nor has a token to be there: health."""
    METRICS = auto()
    SOME_MODEL = auto()
    """Any: the answer shows those that are opened, and no others."""
    MODEL = auto()
    """The one that the path names."""
    MANAGEMENT = auto()
    """Managing the model that the path names."""


class Bucket:
    """Lets pass at most `rate` requests a second, and as many at once as fit into one second."""

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
    """One token's scopes. models: None for all of them, else names: those that are served, and for
    management those of registered models, too. expires: Unix seconds."""

    name: str
    models: frozenset[str] | None = frozenset()
    manage: bool = False
    metrics: bool = False
    expires: float | None = None
    bucket: Bucket | None = field(default=None, compare=False)

    def permits(self, model: str | None) -> bool:
        """Whether it opens this model."""
        return self.models is None or model in self.models

    def need(self, need: Need, model: str | None = None) -> None:
        """`model` is the one that the path names. Raises RefusedError 403."""
        if need is Need.MODEL:
            self.need_model(model)
        elif need is Need.METRICS:
            if not self.metrics:
                raise _lacks("metrics")
        elif need is Need.SOME_MODEL:
            self.need_some_model()
        elif need is Need.MANAGEMENT:
            if not self.manage:
                raise _lacks("management")
            self.need_model(model)

    def need_model(self, model: str | None) -> None:
        """Refuse other models by a 403: whether there is such a one is nobody's business either."""
        if not self.permits(model):
            raise _lacks(f"the model {model!r}")

    def need_some_model(self) -> None:
        """Refuse a token that opens no model, by a 403."""
        if self.models is not None and not self.models:
            raise _lacks("any model")

    def count(self) -> None:
        """Count a request; RefusedError 429 when its rate is used up."""
        if self.bucket and (seconds := self.bucket.take()):
            raise overloaded_by(self.name, self.bucket.rate, seconds)


OPEN = Grant("", models=None, metrics=True)
"""Everybody's where no token is asked for. Management always takes one."""


NOT_ASKED = Grant("")
"""What a request has before it is admitted."""


def lacks_default() -> RefusedError:
    """The refusal of a default model, without its name."""
    return _lacks("the default model")


def _lacks(scope: str) -> RefusedError:
    return RefusedError(403, "PERMISSION_DENIED", f"This token does not open {scope}.")
