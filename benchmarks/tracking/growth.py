"""How long tracking's calls take as its database grows, here and by `mlflow server`.

Both serve the same database, so that it is filled once.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

from benchmarks.options import Options
from benchmarks.storage import OURS, REFERENCE, Server, running
from benchmarks.tracking import filling
from benchmarks.tracking.plot import draw
from harness.report import Section, say

STEPS = (1, 10, 50)
WHOLE = (*STEPS, 500)
"""How many times as many runs as at first."""
PATIENCE, TIMES = 600, 5
API = "/api/2.0/mlflow"
SEARCHED = str(filling.experiment(filling.SEARCHED))


@dataclass(frozen=True)
class Call:
    """A request, and what it asks for."""

    label: str
    method: str
    path: str
    body: dict[str, object] | None = None


def searching(**asked: object) -> dict[str, object]:
    return {"experiment_ids": [SEARCHED], "max_results": 100, **asked}


def calls() -> Sequence[Call]:
    search, traces = f"{API}/runs/search", "/api/3.0/mlflow/traces/search"
    run = filling.run_of(filling.LONG, 0)
    of_traces = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": SEARCHED}}]
    return [
        Call("newest 100 runs", "POST", search, searching()),
        Call(
            "the UI's first page", "POST", search,
            searching(order_by=["attributes.start_time DESC"]),
        ),
        Call("best 100 by a metric", "POST", search, searching(order_by=["metrics.metric_3 DESC"])),
        Call(
            "100 by a metric and a parameter", "POST", search,
            searching(filter="metrics.metric_3 > 0.9 and params.parameter_2 = '10'"),
        ),
        Call("100 by a tag", "POST", search, searching(filter="tags.team = 'team 3'")),
        Call("100 by a name", "POST", search, searching(filter="attributes.run_name = 'run-77'")),
        Call("a run", "GET", f"{API}/runs/get?run_id={filling.run_of(filling.SEARCHED, 7)}"),
        Call(
            "history of {points:,} points", "GET",
            f"{API}/metrics/get-history?run_id={run}&metric_key=loss",
        ),
        Call(
            "newest 100 traces", "POST", traces,
            {"locations": of_traces, "max_results": 100, "order_by": ["timestamp_ms DESC"]},
        ),
    ]  # fmt: skip


def median_of(server: Server, call: Call) -> float:
    """Seconds until the whole answer is here, once one has warmed what can be."""
    found = []
    with httpx.Client(base_url=server.uri, timeout=PATIENCE) as client:
        for _ in range(1 + TIMES):
            start = time.perf_counter()
            client.request(call.method, call.path, json=call.body).raise_for_status()
            found.append(time.perf_counter() - start)
    return median(found[1:])


def grew(figures: Sequence[float]) -> str:
    """How many times as much the last is as the first."""
    return f"{figures[-1] / figures[0]:.2g}"


def measure(options: Options) -> list[Section]:
    """Fill step by step; after each step, ask both."""
    times = WHOLE if os.environ.get("FULL") == "1" else STEPS
    steps = [options.runs * number for number in times]
    seconds: dict[str, dict[str, list[float]]] = {}
    sizes: list[float] = []
    backups: list[float] = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as storage:
        ours = storage.ours()
        reference = storage.reference(ours.database)
        servers = (ours, reference)
        filling.fill(storage.postgres, ours, filling.Sizes(0, options.points, 0))
        for server in servers:
            server.start()
        try:
            there = 0
            for runs in steps:
                say(f"growth: filling up to {runs:,} runs")
                filling.grow(storage.postgres, ours, there, runs)
                there = runs
                for call in calls():
                    label = call.label.format(points=options.points)
                    of_call = seconds.setdefault(label, {server.name: [] for server in servers})
                    for server in servers:
                        of_call[server.name].append(median_of(server, call))
                    shown = ", ".join(f"{name} {t[-1]:.4f} s" for name, t in of_call.items())
                    say(f"growth: {runs:,} runs: {label}: {shown}")
                sizes.append(storage.size(ours.database))
                backups.append(storage.back_up(ours.database))
            facts = storage.facts()
        finally:
            for server in servers:
                server.stop()
    return [
        Section(
            title="Seconds of a call, by the number of runs in the database",
            columns=["", "", *(f"{runs:,}" for runs in steps), "grew"],
            rows=[
                [label, name, *(f"{one:.2g}" for one in times), grew(times)]
                for label, by_server in seconds.items()
                for name, times in by_server.items()
            ]
            + [
                ["MiB of the database", "", *(f"{one:,.0f}" for one in sizes), grew(sizes)],
                ["its backup", "", *(f"{one:.2g}" for one in backups), grew(backups)],
            ],
            summary=f"{steps[-1] / steps[0]:.0f} times as many runs, with 10 parameters, 6 tags "
            f"and 10 metrics each, and a tenth as many traces, all in one experiment; "
            f"medians of {TIMES} answers to one client; {OURS} and {REFERENCE} on one "
            f"database, PostgreSQL {facts}",
            data={"runs": steps, "seconds": seconds, "mib": sizes, "backups": backups},
            pictures={"tracking-growth": draw(steps, seconds)},
        )
    ]
