"""What a training script should do to log fast: the ways of MLflow's client, on our server."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import mlflow
from mlflow.entities import Metric

from benchmarks.options import Options
from benchmarks.report import Section, say
from benchmarks.storage import running

KEYS = 10  # metrics of one step


def one_by_one(run_id: str, steps: int) -> None:
    for step in range(steps):
        for key in range(KEYS):
            mlflow.log_metric(f"m{key}", step / 7, step=step, run_id=run_id)


def a_step_at_once(run_id: str, steps: int) -> None:
    for step in range(steps):
        values = {f"m{key}": step / 7 for key in range(KEYS)}
        mlflow.log_metrics(values, step=step, run_id=run_id)


def asynchronous(run_id: str, steps: int) -> None:
    for step in range(steps):
        values = {f"m{key}": step / 7 for key in range(KEYS)}
        mlflow.log_metrics(values, step=step, run_id=run_id, synchronous=False)


def all_at_the_end(run_id: str, steps: int) -> None:
    now = int(time.time() * 1000)
    metrics = [
        Metric(f"m{key}", step / 7, now, step) for step in range(steps) for key in range(KEYS)
    ]
    client = mlflow.MlflowClient()
    for first in range(0, len(metrics), 1000):  # the server takes no more at once
        client.log_batch(run_id, metrics=metrics[first : first + 1000])


WAYS: dict[str, Callable[[str, int], None]] = {
    "log_metric, one by one": one_by_one,
    "log_metrics, a step at once": a_step_at_once,
    "log_metrics(synchronous=False)": asynchronous,
    "log_batch at the end": all_at_the_end,
}


def measure(options: Options) -> list[Section]:
    """How long the script waits, and when all has arrived, for each way, alternating."""
    steps = max(1, options.metrics // KEYS)
    waited: dict[str, list[float]] = {way: [] for way in WAYS}
    arrived: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as storage:
        server, _ = storage.ours()
        try:
            say("logging: starting the tracking server")
            server.start()
            mlflow.set_tracking_uri(server.uri)
            for number in range(options.rounds + 1):  # the first, unmeasured, warms up
                for way, log in WAYS.items():
                    with mlflow.start_run() as run:
                        start = time.perf_counter()
                        log(run.info.run_id, steps)
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
    slowest = median(waited["log_metric, one by one"])
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
