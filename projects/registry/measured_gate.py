"""Move an alias to a version that measures up to the one that has it."""

from common.promotion import CannotCompareError, Comparison, Gate, Outcome
from evaluations import Evaluations
from measures import LOWER_IS_BETTER, number
from moves import note_before


class MeasuredGate(Gate):
    """Promotes by a metric of MLflow's evaluation, if it is within a limit, and notes which version
    had the alias before."""

    def __init__(
        self, name: str, alias: str, evaluations: Evaluations, metric: str, limit: float | None
    ) -> None:
        """limit: the worst value of the metric to be promoted; None for any."""
        super().__init__(name, alias, self._compare)
        self.evaluations, self.metric, self.limit = evaluations, metric, limit
        self._before: str | None = None

    def judge(self, candidate: str, incumbent: str | None, mode: str) -> Outcome:
        """Judge as any gate, but a version that cannot be measured, or is beyond the limit, is not
        promoted even where there is none to compare it with."""
        self._before = incumbent
        if mode == "auto":
            try:
                score = self.evaluations.score(candidate, self.metric)
                within = self.limit is None or not self.evaluations.below(
                    candidate, self.metric, self.limit
                )
            except CannotCompareError as error:
                return Outcome(False, str(error))
            if not within:
                worse = "above" if self.metric in LOWER_IS_BETTER else "below"
                limit = f"the limit of {number(self.limit)}"
                return Outcome(False, f"{self.metric} {number(score)} is {worse} {limit}")
        return super().judge(candidate, incumbent, mode)

    def move(self, version: str, by: str) -> None:
        """Note who had the alias, then move it."""
        note_before(self.registry, self.name, self.alias, version, self._before)
        super().move(version, by)

    def untag(self, version: str) -> None:
        """Remove the note too."""
        super().untag(version)
        note_before(self.registry, self.name, self.alias, version, None)

    def _compare(self, candidate: str, incumbent: str) -> Comparison:
        # Not by a MetricThreshold: it has no "at least as good" where the incumbent is at 0, and
        # lets nan pass.
        scores = [self.evaluations.score(each, self.metric) for each in (candidate, incumbent)]
        sign = -1 if self.metric in LOWER_IS_BETTER else 1
        text = f"{self.metric} {number(scores[0])} against {number(scores[1])}"
        rows = f"on {len(self.evaluations.table)} rows"
        return Comparison.of(sign * scores[0], sign * scores[1], f"{text} {rows}")
