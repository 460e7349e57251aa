"""The table of what each fault did."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Sequence

from chaos.load import LOG, MLFLOW, PREDICT, STORE
from chaos.summary import AT_ONCE, NOTHING, Summary
from chaos.trial import Result, Unfinished
from harness.report import Section

COLUMNS = [
    "fault",
    "what happens",
    "logging",
    "storing",
    "predicting",
    "MLflow's client",
    "back after",
    "read back",
    "lost",
]
UNKNOWN = "?"


def markdown(outcomes: Sequence[Result | Unfinished], title: str) -> str:
    """The table, and what it comes to."""
    results = [one for one in outcomes if isinstance(one, Result)]
    unfinished = [one.fault.name for one in outcomes if isinstance(one, Unfinished)]
    lost = sum(result.lost for result in results)
    failed = [result.fault.name for result in results if result.problems]
    totals = Counter[str]()
    for result in results:
        totals.update(result.acknowledged)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in totals.items())
    table = Section(
        title=title,
        columns=COLUMNS,
        rows=[row(one) for one in outcomes],
        summary=f"{counted or 'nothing'} acknowledged in {len(results)} faults, and read back: "
        f"{lost} lost. Not as it should be: {', '.join(failed) or 'none'}. "
        f"Not to its end: {', '.join(unfinished) or 'none'}",
    )
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}"
    return f"{table.markdown()}\nRun on {time.strftime('%Y-%m-%d')}: {machine}."


def trouble(outcomes: Sequence[Result | Unfinished]) -> list[str]:
    """A line for each thing that is not as it should be."""
    lines = []
    for one in outcomes:
        if isinstance(one, Unfinished):
            lines.append(f"NOT TO ITS END: {one.fault.name}: {one.reason}")
        else:
            lines += [f"NOT AS IT SHOULD BE: {one.fault.name}: {what}" for what in one.problems]
    return lines


def line(result: Result) -> str:
    """One result in one line of progress."""
    seen = {kind: summary for kind, summary in result.seen.items() if summary.disturbed}
    parts = [f"{kind}: {summary}" for kind, summary in seen.items()] or ["nobody noticed"]
    parts.append(f"back after {result.back:.1f} s" if result.back else "")
    parts.append(f"{result.lost} lost of {sum(result.acknowledged.values()):,}")
    parts += [f"NOT AS IT SHOULD BE: {problem}" for problem in result.problems]
    return " | ".join(filter(None, [*parts, *result.notes]))


def row(result: Result | Unfinished) -> list[str]:
    fault = result.fault
    if isinstance(result, Unfinished):
        return [fault.name, f"{fault.what}; not to its end", *[UNKNOWN] * (len(COLUMNS) - 2)]
    seen, acknowledged = result.seen, result.acknowledged
    return [
        fault.name,
        "; ".join([fault.what, *result.notes]),
        *(str(seen[kind]) for kind in (LOG, STORE, PREDICT)),
        patience(seen[MLFLOW]),
        f"{result.back:.1f} s" if result.back else NOTHING,
        ", ".join(f"{acknowledged[kind]:,} {kind}" for kind in ("runs", "metrics", "artifacts")),
        str(result.lost),
    ]


def patience(summary: Summary) -> str:
    """What MLflow's client made its caller see: waiting, if not errors."""
    if summary.failures:
        return str(summary)
    if summary.longest <= AT_ONCE:
        return NOTHING
    return f"waits {summary.longest:.1f} s at most, {summary.retried} calls tried again"


def as_dict(result: Result | Unfinished) -> dict:
    if isinstance(result, Unfinished):
        return {"fault": result.fault.name, "unfinished": result.reason}
    return {
        "fault": result.fault.name,
        "back": result.back,
        "lost": result.lost,
        "acknowledged": dict(result.acknowledged),
        "notes": result.notes,
        "problems": result.problems,
        "seen": {
            kind: {
                "successes": summary.successes,
                "retried": summary.retried,
                "failures": dict(summary.failures),
                "samples": summary.samples,
                "gap": summary.gap,
                "longest": summary.longest,
                "back": summary.back,
            }
            for kind, summary in result.seen.items()
        },
    }
