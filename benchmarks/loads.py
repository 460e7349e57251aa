"""The loads put on a tracking server, as endless requests of each client."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.load import Request, run

API = "/api/2.0/mlflow"
EXPERIMENT = "benchmark"
BATCH = 100
SEEDERS = 8

Requests = Iterator[Request]


def post(path: str, **body: object) -> Request:
    """An API call."""
    return Request("POST", f"{API}/{path}", json.dumps(body).encode())


@dataclass(frozen=True)
class Load:
    """Some clients, each with a run of its own and requests made from it."""

    name: str
    clients: int
    requests: Callable[[str, str], Requests]  # (experiment id, run id)

    def measure(self, port: int, target: "Target", seconds: float) -> float:
        """Good answers per second; an error in the load itself is raised."""
        clients = [self.requests(target.experiment, run_id) for run_id in target.runs]
        result = run(port, clients[: self.clients], seconds)
        if result.errors:
            raise RuntimeError(f"{self.name}: {result.errors} of {result.requests} requests failed")
        return result.rate


@dataclass(frozen=True)
class Target:
    """What the loads work on: an experiment and the runs of the clients."""

    experiment: str
    runs: list[str]


def metric(step: int) -> dict[str, object]:
    return {"value": step / 7, "timestamp": int(time.time() * 1000), "step": step}


def log_metric(_experiment: str, run_id: str) -> Requests:
    for step in itertools.count(time.time_ns() // 10**6):
        yield post("runs/log-metric", run_id=run_id, key="loss", **metric(step))


def log_batch(_experiment: str, run_id: str) -> Requests:
    for step in itertools.count(time.time_ns() // 10**6):
        metrics = [{"key": f"m{number}", **metric(step)} for number in range(BATCH)]
        yield post("runs/log-batch", run_id=run_id, metrics=metrics)


def search(experiment: str, _run_id: str) -> Requests:
    query = "metrics.accuracy > 0.5"
    order = ["metrics.accuracy DESC"]
    while True:
        yield post(
            "runs/search",
            experiment_ids=[experiment],
            filter=query,
            order_by=order,
            max_results=50,
        )


def get_by_name(_experiment: str, _run_id: str) -> Requests:
    while True:
        yield Request("GET", f"{API}/experiments/get-by-name?experiment_name={EXPERIMENT}")


def mix(experiment: str, run_id: str) -> Requests:
    """What a training script and a browser beside it ask for: mostly metrics."""
    one, many = log_metric(experiment, run_id), log_batch(experiment, run_id)
    searched, named = search(experiment, run_id), get_by_name(experiment, run_id)
    while True:
        for requests in (one, one, one, one, one, one, many, searched, named, named):
            yield next(requests)


LOADS = (
    Load("log-metric, 1 client", 1, log_metric),
    Load("log-metric, 16 clients", 16, log_metric),
    Load(f"log-batch of {BATCH}, 4 clients", 4, log_batch),
    Load("runs/search, 4 clients", 4, search),
    Load("get-by-name, 16 clients", 16, get_by_name),
    Load("mix, 16 clients", 16, mix),
)


def seed(port: int, runs: int, ask: Callable[..., dict]) -> Target:
    """Fill an experiment with runs of some metrics and parameters; returns it.

    `ask(path, **body)` makes one API call and returns its answer.
    """
    experiment = ask("experiments/create", name=EXPERIMENT)["experiment_id"]
    numbers = [range(first, runs, SEEDERS) for first in range(SEEDERS)]
    _all(port, [[_create(experiment, number) for number in part] for part in numbers])
    ids, page = [], ""
    while True:
        answer = ask("runs/search", experiment_ids=[experiment], max_results=1000, page_token=page)
        ids += [one["info"]["run_id"] for one in answer["runs"]]
        if not (page := answer.get("next_page_token")):
            break
    batches = [_describe(run_id, number) for number, run_id in enumerate(ids)]
    _all(port, [batches[first::SEEDERS] for first in range(SEEDERS)])
    return Target(experiment, ids[:16])


def _all(port: int, clients: list[list[Request]]) -> None:
    result = run(port, [iter(requests) for requests in clients], seconds=600)
    if result.errors:
        raise RuntimeError(f"seeding: {result.errors} of {result.requests} requests failed")


def _create(experiment: str, number: int) -> Request:
    return post(
        "runs/create", experiment_id=experiment, run_name=f"run {number}", start_time=number
    )


def _describe(run_id: str, number: int) -> Request:
    values = {
        "accuracy": number % 101 / 100,
        "loss_at_end": 1 / (number + 1),
        "epochs": number % 50,
    }
    return post(
        "runs/log-batch",
        run_id=run_id,
        metrics=[{"key": key, **metric(0), "value": value} for key, value in values.items()],
        params=[{"key": f"p{index}", "value": str(number * index)} for index in range(5)],
    )
