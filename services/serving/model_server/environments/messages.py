"""What the processes that look and build tell the HTTP process, which imports nothing of theirs."""

import msgspec

MARKER = "complete"
"""The file in an environment that is written last; its time is that of the last use."""


class Recipe(msgspec.Struct, frozen=True):
    """How to make an environment."""

    lines: list[str]
    """Lines as in requirements.txt."""
    pythons: list[str]
    """Minor versions, the preferred one first."""
    digest: str
    optional: list[str] = []
    """Lines that are left out where no index has them."""


class Package(msgspec.Struct, frozen=True):
    """One that a recipe names, as it was installed."""

    name: str
    version: str | None
    index: str | None
    """Where it came from, without a login; None: not known."""


class Built(msgspec.Struct, frozen=True):
    """What an environment holds; its MARKER, as JSON."""

    lines: list[str] = []
    warnings: list[str] = []
    packages: list[Package] = []
    left_out: list[str] = []
    """Lines of the recipe that no index has."""


class Fit(msgspec.Struct, frozen=True):
    """How the server's environment fits a model."""

    reasons: list[str] = []
    """Why it will not do; empty: it does."""
    missing: list[str] = []
    """Required, not here, and not known to be used."""
    warnings: list[str] = []
    recipe: Recipe | None = None
    """None: there is no Python to build it on."""


class Step(msgspec.Struct, frozen=True):
    """How far a build is. The last one says `done`, or the `problem`."""

    progress: str | None = None
    problem: str | None = None
    done: bool = False
