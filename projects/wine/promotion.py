"""Move a registered model's alias to a new version, if it is at least as good as the old one.

Both versions are loaded from the registry and predict the same rows, which neither was trained
on. The registry cannot compare and swap an alias, so promotions at the same moment are settled
afterwards: each tags its version, moves the alias, then looks for tags that are new. Whoever
looks last sees all rivals and gives the alias to the best, and the choice is the same for all.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow
from mlflow.entities.model_registry import ModelVersion

from dataset import FEWEST_HELD_OUT, Split, Table, first_line


class CannotCompareError(Exception):
    """Two versions cannot be compared; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of a version, and why, in one sentence."""

    promoted: bool
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Right answers of two versions on the same `rows` rows."""

    candidate: int
    incumbent: int
    rows: int
    caveat: str = ""

    @property
    def good_enough(self) -> bool:
        """Whether the candidate may replace the incumbent."""
        return self.candidate >= self.incumbent

    def __str__(self) -> str:
        counts = f"{self.candidate} against {self.incumbent} of {self.rows}"
        return f"{counts} held-out rows right{self.caveat}"


class Gate:
    """Decides whether a version of the model `name` gets the alias, by rows held out."""

    def __init__(self, name: str, alias: str, held_out: Table, split: Split) -> None:
        self.registry = mlflow.MlflowClient()
        self.name, self.alias = name, alias
        self.held_out, self.split = held_out, split

    def promote(self, candidate: str, mode: str, by: str) -> Outcome:
        """Give version `candidate` the alias if it deserves it, and tag it with the outcome."""
        while True:
            known, incumbent = self.promoted(), self.holder()
            outcome = self.judge(candidate, incumbent, mode)
            if not outcome.promoted or self.holder() == incumbent:
                break  # else the alias moved meanwhile: there is another version to beat
        if outcome.promoted:
            self.move(candidate, by)
            if mode == "auto":
                self.settle(candidate, self.promoted() - known - {candidate})
            if (holder := self.holder()) != candidate:
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
        return Outcome(result.good_enough, f"{judgement} version {incumbent}: {result}")

    def compare(self, candidate: str, incumbent: str) -> Comparison:
        """Let both versions predict the rows that neither was trained on.

        Raises CannotCompareError where one cannot be loaded or takes other columns, or where
        too few such rows are left.
        """
        rows, caveat = self.held_out, ""
        rule = split_of(self.registry.get_model_version(self.name, incumbent))
        if rule is None:
            caveat = f" (version {incumbent} may have been trained on them: it does not say)"
        elif rule != self.split:
            rows = rows.where(rule.holds_out(rows.features))
            caveat = f" (those held out from both; version {incumbent} was trained with {rule})"
        if len(rows) < FEWEST_HELD_OUT:
            raise CannotCompareError(
                f"of the held-out rows, version {incumbent} was not trained on {len(rows)} only "
                f"(its {rule})"
            )
        right = [self.right(version, rows) for version in (candidate, incumbent)]
        return Comparison(*right, len(rows), caveat)

    def right(self, version: str, rows: Table) -> int:
        """How many of the rows a version predicts right, loaded as the model server loads it."""
        try:
            model = mlflow.pyfunc.load_model(f"models:/{self.name}/{version}")
            schema = model.metadata.get_input_schema()
            if schema and set(schema.input_names()) != set(rows.features.columns):
                raise CannotCompareError(f"version {version} takes other columns than these data")
            answers = model.predict(rows.features)
            return sum(str(a) == label for a, label in zip(answers, rows.labels, strict=True))
        except CannotCompareError:
            raise
        except Exception as error:  # a model is other people's code: it may raise anything
            raise CannotCompareError(
                f"version {version} cannot be loaded or asked: {first_line(error)}"
            ) from error

    def settle(self, candidate: str, rivals: set[str]) -> None:
        """Give the alias to the best version promoted at the same time; of equals, the newest.

        A rival that cannot be compared does not win.
        """
        best = candidate
        for rival in sorted(rivals, key=int):
            try:
                result = self.compare(best, rival)
            except CannotCompareError:
                continue
            if (result.incumbent, int(rival)) > (result.candidate, int(best)):
                best = rival
        if rivals:
            self.registry.set_registered_model_alias(self.name, self.alias, best)

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
        """Tag the version as promoted, then move the alias: in this order, for `settle`."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.registry.set_model_version_tag(self.name, version, "promoted_by", by)
        self.registry.set_model_version_tag(self.name, version, "promoted_at", now)
        self.registry.set_registered_model_alias(self.name, self.alias, version)

    def untag(self, version: str) -> None:
        """Take back the tags of a version that lost the alias in the moment it got it."""
        for tag in ("promoted_by", "promoted_at"):
            self.registry.delete_model_version_tag(self.name, version, tag)


def tags_of(split: Split) -> dict[str, str]:
    """The tags that tell later versions which rows this one was not trained on."""
    return {"split.test_size": str(split.test_size), "split.seed": str(split.seed)}


def split_of(version: ModelVersion) -> Split | None:
    """The rule by which rows were held out from a version; None if it does not say."""
    try:
        return Split(float(version.tags["split.test_size"]), int(version.tags["split.seed"]))
    except (KeyError, ValueError):
        return None
