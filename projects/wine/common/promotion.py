"""Move a registered model's alias to a new version, if it is at least as good as the old one.

The registry cannot compare and swap an alias, so promotions at the same moment are settled
afterwards: each tags its version, moves the alias, looks for tags that are new and gives the alias
to the best, which is the same for all; and looks again while a rival holds the alias that it has
not compared with or has won against.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isnan

import mlflow


class CannotCompareError(Exception):
    """Two versions cannot be compared; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of a version, and why, in one sentence."""

    promoted: bool
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Whether a candidate is at least as good as the incumbent, and better; `text` says how."""

    good_enough: bool
    better: bool
    text: str

    @classmethod
    def of(cls, candidate: float, incumbent: float, text: str) -> "Comparison":
        """Compares two scores: the higher is the better one, nan is worse than all."""
        candidate, incumbent = (-inf if isnan(score) else score for score in (candidate, incumbent))
        return cls(candidate >= incumbent, candidate > incumbent, text)


Compare = Callable[[str, str], Comparison]
"""Compares two version numbers, candidate and incumbent; raises CannotCompareError."""


class Gate:
    """Decides whether a version of the model `name` gets the alias, by what `compare` says."""

    def __init__(self, name: str, alias: str, compare: Compare) -> None:
        self.registry = mlflow.MlflowClient()
        self.name, self.alias, self.compare = name, alias, compare

    def promote(self, candidate: str, mode: str, by: str) -> Outcome:
        """Give version `candidate` the alias if it deserves it, and tag it with the outcome.

        mode: auto (if at least as good), always or never. by: who promotes.
        """
        while True:
            known, incumbent = self.promoted(), self.holder()
            outcome = self.judge(candidate, incumbent, mode)
            if not outcome.promoted or self.holder() == incumbent:
                break  # else the alias moved meanwhile: there is another version to beat
        if outcome.promoted:
            self.move(candidate, by)
            holder = self.settled(candidate, known) if mode == "auto" else self.holder()
            if holder != candidate:
                self.untag(candidate)
                outcome = Outcome(False, f"version {holder} was promoted at the same time")
        self.registry.set_model_version_tag(self.name, candidate, "promotion", outcome.reason)
        return outcome

    def judge(self, candidate: str, incumbent: str | None, mode: str) -> Outcome:
        """Whether `candidate` is to replace `incumbent`, and why."""
        if mode == "never":
            return Outcome(False, "not asked for (promote=never)")
        if mode == "always":
            return Outcome(True, "without comparison (promote=always)")
        if incumbent is None:
            return Outcome(True, f"there was no {self.alias} yet")
        try:
            result = self.compare(candidate, incumbent)
        except CannotCompareError as error:
            return Outcome(False, f"{error}; promote=always replaces it without comparison")
        judgement = "at least as good as" if result.good_enough else "worse than"
        return Outcome(result.good_enough, f"{judgement} version {incumbent}: {result.text}")

    def settled(self, candidate: str, known: set[str]) -> str | None:
        """Who holds the alias once all that were promoted since `known` are compared.

        A rival may have tagged its version, or moved the alias, only after a look: then another
        is due.
        """
        rivals = self.promoted() - known - {candidate}
        while True:
            best = self.settle(candidate, rivals)
            if (holder := self.holder()) == candidate:
                return holder
            before, rivals = rivals, self.promoted() - known - {candidate}
            won = best == candidate and holder in rivals
            if rivals == before and not won:
                return holder

    def settle(self, candidate: str, rivals: set[str]) -> str:
        """Give the alias to the best version promoted at the same time; of equals, the newest.
        Returns which it is.

        A rival that cannot be compared does not win.
        """
        best = candidate
        for rival in sorted(rivals, key=int):
            try:
                result = self.compare(best, rival)
            except CannotCompareError:
                continue
            if not result.good_enough or (not result.better and int(rival) > int(best)):
                best = rival
        if rivals:
            self.registry.set_registered_model_alias(self.name, self.alias, best)
        return best

    def holder(self) -> str | None:
        """The version that carries the alias now."""
        version = self.registry.get_registered_model(self.name).aliases.get(self.alias)
        return None if version is None else str(version)

    def promoted(self) -> set[str]:
        """The latest versions that were promoted at some time."""
        latest = self.registry.search_model_versions(
            f"name = '{self.name}'", max_results=100, order_by=["version_number DESC"]
        )
        return {str(version.version) for version in latest if "promoted_at" in version.tags}

    def move(self, version: str, by: str) -> None:
        """Tag the version as promoted, then move the alias: in this order, for `settled`."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.registry.set_model_version_tag(self.name, version, "promoted_by", by)
        self.registry.set_model_version_tag(self.name, version, "promoted_at", now)
        self.registry.set_registered_model_alias(self.name, self.alias, version)

    def untag(self, version: str) -> None:
        """Take back the tags of a version that lost the alias in the moment it got it."""
        for tag in ("promoted_by", "promoted_at"):
            self.registry.delete_model_version_tag(self.name, version, tag)
