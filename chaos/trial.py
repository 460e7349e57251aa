"""One fault under load: brought about, undone, and everything acknowledged read back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chaos.faults import Fault
from chaos.ledger import Ledger
from chaos.load import CLIENTS, MLFLOW, Load
from chaos.scene import Scene
from chaos.summary import WRONG, Summary, summarise

CALM_BEFORE = 60  # seconds in which the clients must be served before a fault
LOST_SHOWN = 5


@dataclass(frozen=True)
class Result:
    """What one fault did. seen: by kind of client. back: seconds until all were served again, save
    MLflow's client, which waits longer by itself.
    problems: what ought not to have been; empty where the stack held."""

    fault: Fault
    seen: Mapping[str, Summary]
    back: float
    acknowledged: Mapping[str, int]
    lost: int
    notes: list[str]
    problems: list[str]


@dataclass(frozen=True)
class Unfinished:
    """A fault that could not be brought about, or whose end was not seen; says why."""

    fault: Fault
    reason: str


def run(fault: Fault, scene: Scene, batch: int = 200) -> Result:
    """Raises AssertionError where the clients are not served before the fault, or docker fails."""
    ledger = Ledger()
    scene = replace(scene, counts=ledger.counts, notes=[], problems=[])
    with Load(scene, ledger, batch) as load:
        load.wait_until_calm(CALM_BEFORE)
        began = over = time.monotonic()
        with fault.inject(scene):
            time.sleep(fault.hold)
            if fault.lasting:
                over = time.monotonic()
        try:
            load.wait_until_calm(fault.within)
        except AssertionError:
            scene.problems.append(f"not all are served within {fault.within:.0f} s")
    seen = {kind: summarise(load.attempts(kind), began, over) for kind in CLIENTS}
    lost, acknowledged = ledger.lost(scene.stack.tracking), ledger.counts()
    return Result(
        fault,
        seen,
        back=max((s.back or 0 for k, s in seen.items() if k != MLFLOW and s.disturbed), default=0),
        acknowledged=acknowledged,
        lost=len(lost),
        notes=scene.notes,
        problems=[
            *scene.problems,
            *losses(lost),
            *noticed(fault, seen),
            *idleness(seen, acknowledged),
        ],
    )


def losses(lost: Sequence[str]) -> list[str]:
    problems = [f"lost: {line}" for line in lost[:LOST_SHOWN]]
    if len(lost) > LOST_SHOWN:
        problems.append(f"lost: {len(lost) - LOST_SHOWN} more")
    return problems


def noticed(fault: Fault, seen: Mapping[str, Summary]) -> list[str]:
    """What clients saw that they ought not to have seen."""
    problems = []
    for kind, summary in seen.items():
        if kind in fault.spared and summary.failures:
            problems.append(f"{kind} was to notice nothing: {summary}")
        if summary.failures[WRONG]:
            problems.append(f"{kind}: {summary.failures[WRONG]} wrong answers")
    if seen[MLFLOW].failures:
        problems.append(f"MLflow's client failed: {seen[MLFLOW].samples}")
    return problems


def idleness(seen: Mapping[str, Summary], acknowledged: Mapping[str, int]) -> list[str]:
    """What no client did, so that the trial shows nothing of it."""
    idle = [kind for kind, summary in seen.items() if not summary.successes]
    problems = [f"{kind}: no success from the fault on" for kind in idle]
    problems += [f"no {kind} acknowledged" for kind, count in acknowledged.items() if not count]
    return problems
