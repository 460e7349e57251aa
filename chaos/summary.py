"""What clients of one kind saw of a fault: outcomes, the longest gap, the way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

OK = "ok"
WRONG = "WRONG"
NOTHING = "-"
SAMPLE = 300  # characters
AT_ONCE = 1.0  # seconds without a success that pass for none


@dataclass(frozen=True)
class Attempt:
    """One call of a client, by time.monotonic(). outcome: OK, a status, or what went wrong."""

    began: float
    ended: float
    outcome: str = OK
    retries: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Summary:
    """samples: what one failure of each kind said. gap: seconds between two successes, at most.
    back: seconds from the fault's end to the first success after the last failure, None where
    there was none."""

    successes: int
    retried: int
    failures: Counter[str]
    samples: dict[str, str]
    gap: float
    longest: float
    back: float | None

    @property
    def disturbed(self) -> bool:
        return bool(self.failures) or self.gap > AT_ONCE

    def __str__(self) -> str:
        """A dash if nothing was disturbed."""
        if not self.disturbed:
            return NOTHING
        failures = [f"{count} x {outcome}" for outcome, count in self.failures.most_common()]
        return "; ".join([f"{self.gap:.1f} s", ", ".join(failures)]).removesuffix("; ")


def summarise(attempts: Sequence[Attempt], began: float, over: float) -> Summary:
    """What was seen, from `began` on, of a fault that ended at `over`.

    The last success before it counts as the beginning of a gap.
    """
    ordered = sorted(attempts, key=lambda attempt: attempt.ended)
    inside = [attempt for attempt in ordered if attempt.ended >= began]
    good = [attempt for attempt in inside if attempt.outcome == OK]
    before = [a.ended for a in ordered if a.ended < began and a.outcome == OK][-1:]
    moments = [*(before or [began]), *(attempt.ended for attempt in good)]
    failed = [attempt for attempt in inside if attempt.outcome != OK]
    since = max([over, *(attempt.ended for attempt in failed)])
    back = next((attempt.ended for attempt in good if attempt.ended > since), None)
    return Summary(
        successes=len(good),
        retried=sum(attempt.retries > 0 for attempt in good),
        failures=Counter(attempt.outcome for attempt in failed),
        samples={attempt.outcome: attempt.detail[:SAMPLE] for attempt in failed},
        gap=max((b - a for a, b in pairwise(moments)), default=0.0),
        longest=max((attempt.ended - attempt.began for attempt in inside), default=0.0),
        back=None if back is None else back - over,
    )
