"""What a training script should do to log fast: the ways of MLflow's client, on our server."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import mlflow
from mlflow.entities import Metric

from benchmarks.options import Options
from benchmarks.storage import running
from harness.report import Section, say

KEYS = 10  # metrics of one step
MOST = 1000  # metrics that the server takes in one request


def one_by_one(steps: int, synchronous: bool = True) -> None:
    for step in range(steps):
        for key in range(KEYS):
            mlflow.log_metric(f"m{key}", step / 7, step=step, synchronous=synchronous)


def a_step_at_once(steps: int, synchronous: bool = True) -> None:
    for step in range(steps):
        values = {f"m{key}": step / 7 for key in range(KEYS)}
        mlflow.log_metrics(values, step=step, synchronous=synchronous)


def all_at_the_end(steps: int) -> None:
    now, run_id = int(time.time() * 1000), mlflow.active_run().info.run_id
    metrics = [
        Metric(f"m{key}", step / 7, now, step) for step in range(steps) for key in range(KEYS)
    ]
    for first in range(0, len(metrics), MOST):
        mlflow.MlflowClient().log_batch(run_id, metrics=metrics[first : first + MOST])


SLOWEST = "log_metric"
WAYS: dict[str, Callable[[int], None]] = {
    SLOWEST: one_by_one,
    "log_metric, asynchronous": partial(one_by_one, synchronous=False),
    "log_metrics, a step at once": a_step_at_once,
    "log_metrics, asynchronous": partial(a_step_at_once, synchronous=False),
    "log_batch at the end": all_at_the_end,
}


def measure(options: Options) -> list[Section]:
    """How long the script waits, and when all has arrived, for each way, alternating."""
    steps = max(1, options.metrics // KEYS)
    waited: dict[str, list[float]] = {way: [] for way in WAYS}
    arrived: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as storage:
        server = storage.ours()
        try:
            say("logging: starting the tracking server")
            server.start()
            mlflow.set_tracking_uri(server.uri)
            for number in range(options.rounds + 1):  # the first, unmeasured, warms up
                for way, log in WAYS.items():
                    with mlflow.start_run():
                        start = time.perf_counter()
                        log(steps)
                        wait = time.perf_counter() - start
                        mlflow.flush_async_logging()
                        total = time.perf_counter() - start
                    if number:
                        waited[way].append(wait)
                        arrived[way].append(total)
                say(f"logging: round {number} of {options.rounds}")
        finally:
            server.stop()
    return [section(options, steps * KEYS, waited, arrived)]


def section(
    options: Options, metrics: int, waited: dict[str, list[float]], arrived: dict[str, list[float]]
) -> Section:
    slowest = median(waited[SLOWEST])
    rows = [
        [
            way,
            f"{1000 * median(waited[way]) / metrics:.2f}",
            f"{slowest / median(waited[way]):.0f}",
            f"{metrics / median(arrived[way]):.0f}",
        ]
        for way in WAYS
    ]
    return Section(
        title="Ways of logging",
        columns=["", "ms a metric that the script waits", "times less", "metrics/s stored"],
        rows=rows,
        summary=f"{metrics} metrics in steps of {KEYS}, medians of {options.rounds} rounds",
        data={"metrics": metrics, "waited": waited, "arrived": arrived},
    )
