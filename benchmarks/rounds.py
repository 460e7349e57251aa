"""Alternating rounds, and what may be concluded from them.

In each round the reference is measured, then ours, then the reference again. Its two measurements
differ by the machine's mood alone; ours counts as slower only where its median falls below the
reference's by more than that.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Comparison:
    """Rates of the reference (twice a round) and of ours; higher is better."""

    name: str
    reference: list[tuple[float, float]]
    ours: list[float]

    @property
    def reference_median(self) -> float:
        return median(rate for pair in self.reference for rate in pair)

    @property
    def ours_median(self) -> float:
        return median(self.ours)

    @property
    def ratio(self) -> float:
        """Ours over the reference."""
        return self.ours_median / self.reference_median

    @property
    def spread(self) -> float:
        """The largest difference within a round of the reference from itself, as a share."""
        return max(abs(one - other) / max(one, other) for one, other in self.reference)

    @property
    def holds(self) -> bool:
        """Whether ours is not below the reference by more than the reference's own spread."""
        return self.ratio >= 1 - self.spread

    @property
    def verdict(self) -> str:
        if self.ratio >= 1:
            return "faster" if self.ratio > 1 + self.spread else "equal"
        return "equal" if self.holds else "SLOWER"

    def as_dict(self) -> dict:
        """Everything, for the JSON file."""
        names = ("reference_median", "ours_median", "ratio", "spread", "verdict")
        return asdict(self) | {name: getattr(self, name) for name in names}


def compare(
    name: str, rounds: int, reference: Callable[[], float], ours: Callable[[], float]
) -> Comparison:
    """Measure both, alternating, and keep every number."""
    pairs, mine = [], []
    for _ in range(rounds):
        before = reference()
        mine.append(ours())
        pairs.append((before, reference()))
    return Comparison(name, pairs, mine)
