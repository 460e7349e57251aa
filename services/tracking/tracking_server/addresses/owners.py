"""Whose permissions hold for what an address names, followed to where the files really lie."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracking_server.addresses import meaning
from tracking_server.addresses.meaning import (
    Elsewhere,
    LoggedModel,
    NoFiles,
    Place,
    Run,
    Version,
)
from tracking_server.addresses.rows import Rows

STEPS = 8
"""How many addresses may name one another: a version a version, that a run, that a place."""


class UnownedError(Exception):
    """An address that no permission covers, so that it is the administrators'; says why."""


class OutsideError(UnownedError):
    """An address outside of the artifact store."""


@dataclass(frozen=True)
class Experiment:
    """An experiment, or a part of it. inside: the path below where its artifacts lie."""

    id: str
    inside: str


@dataclass(frozen=True)
class Model:
    """A registered model."""

    name: str


Owner = Experiment | Model


class Owners:
    """Follows addresses. prefixes: those below which the operator lets artifacts lie."""

    def __init__(self, rows: Rows, prefixes: tuple[str, ...]) -> None:
        self._rows = rows
        self._prefixes = prefixes

    def of(self, address: str) -> list[Owner]:
        """All of them: whoever lacks permission on one may not use the address. Empty: nothing
        but the permission on what carries the address holds.

        Raises:
            UnsoundError: see `meaning.parse`.
            OutsideError: it leads out of the artifact store, to where the operator allows nothing.
            UnownedError: it leads to nothing that has an owner.
        """
        owners: list[Owner] = []
        for _ in range(STEPS):
            named = meaning.parse(address)
            if isinstance(named, NoFiles):
                return owners
            if isinstance(named, Place):
                return [*owners, *self.of_place(named)]
            if isinstance(named, Elsewhere):
                return [*owners, *self._elsewhere(named)]
            owner, address = self._step(named)
            owners.append(owner)
        raise UnownedError("it leads through too many others")

    def of_place(self, place: Place) -> list[Experiment]:
        """Who owns a place in the artifact store: the experiment that its path begins with, or
        those whose artifacts were put at an address that it begins with."""
        first, _, inside = place.path.partition("/")
        if first.isdecimal():
            if not (first.isascii() and self._rows.has_experiment(first)):
                raise UnownedError(f"there is no experiment {first}")
            owners: list[Experiment] = [Experiment(first, inside)]
        else:
            owners = self._moved(place.address)
        if not owners and not self.allows(place.address):
            raise UnownedError("it lies in no experiment's folder")
        self._refuse_strays(owners)
        return owners

    def allows(self, address: str) -> bool:
        """Whether the operator lets artifacts lie there. Raises UnsoundError."""
        if not any(f"{address}/".startswith(f"{prefix}/") for prefix in self._prefixes):
            return False
        meaning.sound(re.sub("^[^/]*//?", "", address).removesuffix("/"))
        return True

    def _step(self, named: Run | LoggedModel | Version) -> tuple[Owner, str]:
        """Who owns what is named, and where its files lie."""
        if isinstance(named, Version):
            address = self._rows.version(named.name, named.which)
            if address is None:
                raise UnownedError(f"there is no version {named.which} of model {named.name}")
            return Model(named.name), address
        if isinstance(named, Run):
            row, inside = self._rows.run(named.run_id), f"{named.run_id}/artifacts"
            path = f"/{named.path}" if named.path else ""
        else:
            row, inside = self._rows.logged_model(named.model_id), f"models/{named.model_id}"
            path = ""
        if row is None:
            raise UnownedError("there is no such run or logged model")
        experiment, address = row
        return Experiment(experiment, inside), f"{address.rstrip('/')}{path}"

    def _elsewhere(self, named: Elsewhere) -> list[Experiment]:
        if not self.allows(named.address):
            raise OutsideError("it lies outside of the artifact store")
        owners = self._moved(named.address)
        self._refuse_strays(owners)
        return owners

    def _moved(self, address: str) -> list[Experiment]:
        if below := self._rows.experiment_below(address):
            raise UnownedError(f"experiment {below}, and perhaps others, lie below it")
        scheme, separator, path = address.partition(":")
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        above = [f"{scheme}{separator}{one}" for one in above if one.strip("/")]
        above += [f"{one}/" for one in above]
        return [
            Experiment(experiment, address[len(location) :].strip("/"))
            for experiment, location in self._rows.experiments_at(above)
        ]

    def _refuse_strays(self, owners: list[Experiment]) -> None:
        """A run, logged model or trace in the folder of an experiment that is not its own was put
        there by an address that is refused today."""
        for owner in owners:
            own = self._rows.experiment_of(owner.inside)
            if own is not None and all(own != other.id for other in owners):
                raise UnownedError(
                    f"it lies in the folder of experiment {owner.id}, not in its own"
                )
