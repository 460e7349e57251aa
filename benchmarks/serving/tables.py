"""The figures as tables."""

from dataclasses import asdict

from benchmarks import goal
from benchmarks.bursts import core, generator, length
from benchmarks.options import Options
from benchmarks.serving import stages
from benchmarks.serving.cases import TITLES
from benchmarks.serving.goals import goals
from benchmarks.serving.measuring import Figures, Measured
from benchmarks.serving.plan import Cell
from benchmarks.serving.servers import OURS
from harness.report import Section


def sections(options: Options, figures: Figures, missing: dict[str, str]) -> list[Section]:
    """Goals, then each model, then the stages, then what could not be measured."""
    asked = list(goals(figures))
    remark = "; one row a request unless it says otherwise"
    sections = [goal.section("Serving: what is asked of it", asked, remark)] if asked else []
    sections += [of_model(options, name, cells) for name, cells in figures.items()]
    return [*sections, of_stages(figures), *goal.not_measured(missing)]


def of_model(options: Options, model: str, cells: dict[Cell, dict[str, Measured]]) -> Section:
    rows = []
    for cell, servers in cells.items():
        for name, one in servers.items():
            ratio = f"{servers[OURS].rate / one.rate:.3g}" if OURS in servers and one.rate else ""
            about = [f"{cell.rows}", f"{cell.clients}", name]
            figures = [f"{one.rate:,.0f}", f"{one.p50:.2f}", f"{one.p99:.2f}", f"{one.cpu:.3f}"]
            if not one.requests:  # none was answered within a burst
                figures = ["0", "", "", ""]
            rows.append([*about, *figures, f"{one.memory / 2**20:.0f}", f"{one.errors}", ratio])
    rounds = sorted({cell.rounds for cell in cells})
    columns = ["rows", "clients", "", "requests/s", "p50 ms", "p99 ms", "CPU ms a request"]
    measured = [one for servers in cells.values() for one in servers.values()]
    busiest = max(burst.generator for one in measured for burst in one.bursts)
    where = "all cores" if options.cores == "all" else f"all cores but {core()}"
    return Section(
        title=f"Serving: {TITLES[model]}",
        columns=[*columns, "MiB", "errors", "ours is times faster"],
        rows=rows,
        summary=f"medians of {' or '.join(map(str, rounds))} alternating rounds of "
        f"{length(options.seconds):g} s; load by {generator()} on core {core()}, of which it used "
        f"{busiest:.0%} at most; servers on {where}",
        data={
            "model": model,
            "cells": [
                {**asdict(cell), "servers": {name: asdict(one) for name, one in servers.items()}}
                for cell, servers in cells.items()
            ],
        },
    )


def of_stages(figures: Figures) -> Section:
    """Our own servers only: the others do not tell."""
    names: list[str] = []
    profiles = []
    for model, cells in figures.items():
        for cell, servers in cells.items():
            for name, one in servers.items():
                if one.stages:
                    names += [stage for stage in one.stages if stage not in names]
                    profiles.append(([model, f"{cell.rows}", f"{cell.clients}", name], cell, one))
    rows = [[*about, *profile(names, cell, one)] for about, cell, one in profiles]
    columns = ["model", "rows", "clients", "", "requests a batch", *names]
    return Section(
        title="Serving: where a request's time goes",
        columns=[*columns, "outside", "seen by the client", "CPU of the front", "CPU of workers"],
        rows=rows,
        summary="mean milliseconds: queue and total of a request; read, predict and write of the "
        "batch that it was in; outside is what the client sees beyond total: connection, parsing "
        "and this machine's other work; processor milliseconds are of a request",
    )


def profile(names: list[str], cell: Cell, one: Measured) -> list[str]:
    """One row: batch size, the mean of each stage, what is outside, the client's mean, CPU."""
    mean = {
        name: 1000 * stage.seconds / stage.count
        for name, stage in one.stages.items()
        if stage.count
    }
    predictions, total = one.stages.get("predict", stages.NOTHING).count, mean.get("total")
    batch = f"{one.requests / predictions:.1f}" if predictions else ""
    # In a closed loop each client waits for its answer, so that the mean wait is clients by rate.
    client = 1000 * cell.clients / one.rate if one.rate else None
    outside = f"{client - total:.3f}" if client and total is not None else ""
    shown = [f"{mean[name]:.3f}" if name in mean else "" for name in names]
    asked = max(1, one.requests)
    cpu = [1000 * sum(getattr(b, part) for b in one.bursts) / asked for part in ("front", "others")]
    seen = f"{client:.3f}" if client else ""
    return [batch, *shown, outside, seen, *(f"{ms:.3f}" for ms in cpu)]
