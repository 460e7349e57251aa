"""What a script waits for: `mlflow.log_metric`, and `mlflow.search_runs` of many runs."""

import time
from collections.abc import Callable, Sequence
from statistics import median

import mlflow

from benchmarks.options import Options
from benchmarks.storage import OURS, REFERENCE, Server
from benchmarks.tracking.filling import MANY, WRITTEN, experiment
from harness.report import Section, say

CALLS = 100
Times = dict[str, list[float]]
"""Seconds by server."""


def measure(options: Options, servers: Sequence[Server], many: int) -> Section:
    """Both in alternating rounds; the second if there are runs for it."""
    rows, data = [], {}
    waits: dict[str, Callable[[], float]] = {"log_metric, ms": log_metric}
    if many:
        waits[f"search_runs of {many:,} runs, s"] = lambda: search_runs(many)
    for name, wait in waits.items():
        times: Times = {server.name: [] for server in servers}
        for number in range(options.rounds + 1):  # the first, unmeasured, warms up
            for server in servers:
                mlflow.set_tracking_uri(server.uri)
                seconds = wait()
                times[server.name] += [seconds] if number else []
        data[name] = times
        unit = 1 if name.endswith(" s") else 1000
        found = [f"{unit * median(those):.2f}" for those in times.values()]
        ratio = median(times[REFERENCE]) / median(times[OURS])
        rows.append([name, *found, f"{ratio:.1f}"])
        say(f"tracking: {name}: {', '.join(found)}")
    return Section(
        title="What a script waits for MLflow's client",
        columns=["", *(server.name for server in servers), f"times less than {REFERENCE}"],
        rows=rows,
        summary=f"medians of {options.rounds} alternating rounds, of {CALLS} calls of log_metric "
        "each; the client's own work is in it",
        data={"seconds": data},
    )


def log_metric() -> float:
    """Seconds a call."""
    mlflow.set_experiment(experiment_id=str(experiment(WRITTEN)))
    with mlflow.start_run():
        start = time.perf_counter()
        for step in range(CALLS):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        return (time.perf_counter() - start) / CALLS


def search_runs(many: int) -> float:
    """Seconds until the table is there, with a row for each run."""
    start = time.perf_counter()
    found = mlflow.search_runs([str(experiment(MANY))], max_results=many)
    if len(found) != many:
        raise RuntimeError(f"search_runs found {len(found)} of {many} runs")
    return time.perf_counter() - start
