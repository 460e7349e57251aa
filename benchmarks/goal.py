"""A ratio that a server is held to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from harness.report import Section


@dataclass(frozen=True)
class Goal:
    """A ratio and its bound; None where a server or a cell was not measured."""

    what: str
    ratio: float | None
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        if self.ratio is None:
            return None
        return self.ratio <= self.bound if self.at_most else self.ratio >= self.bound

    def row(self) -> list[str]:
        """What, bound, ratio and verdict, as text."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        verdict = {None: "not measured", True: "met", False: "**missed**"}[self.met]
        return [self.what, f"{'≤' if self.at_most else '≥'} {self.bound:g}", ratio, verdict]


def section(title: str, goals: Sequence[Goal], remark: str = "") -> Section:
    """What was asked, what was found, and how many are met."""
    measured = [goal for goal in goals if goal.met is not None]
    return Section(
        title=title,
        columns=["ratio", "asked", "found", ""],
        rows=[goal.row() for goal in goals],
        summary=f"{sum(bool(goal.met) for goal in measured)} of {len(measured)} met, "
        f"{len(goals) - len(measured)} not measured{remark}",
        data={"goals": [asdict(goal) | {"met": goal.met} for goal in goals]},
    )


def not_measured(missing: dict[str, str]) -> list[Section]:
    """Why figures are missing, if any are."""
    rows = [[name, reason.replace("|", "/")] for name, reason in missing.items()]
    remark = "no figure of these is guessed"
    return [Section("Not measured", ["", "why"], rows, remark)] if rows else []
