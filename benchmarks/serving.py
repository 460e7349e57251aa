"""The model server against `mlflow models serve`, with the model of projects/wine."""

import contextlib
import itertools
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import mlflow

from benchmarks import load, wrk
from benchmarks.load import Request
from benchmarks.options import Options
from benchmarks.processes import settle
from benchmarks.report import Section, say
from benchmarks.storage import MLFLOW
from tests.support import ROOT, Process, clean_environment, free_port

CLIENTS = (1, 16, 64)
START_SECONDS = 120

Burst = dict[str, float]


def measure(options: Options) -> list[Section]:
    """Rates and latencies of one row a request, alternating, after the answers were compared."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        say("serving: saving the wine model, starting both servers")
        request, answer = save_wine(folder / "wine")
        servers = {}
        for kind, command, settings in commands(folder):
            port = free_port()
            command = [part.format(port=port) for part in command]
            process = Process(command, clean_environment(**settings), folder / f"{kind}.log")
            servers[kind] = (port, process)
            stack.callback(process.stop)
            process.start()
        for kind, (port, process) in servers.items():
            process.wait_for(partial(ask, port, request), START_SECONDS, f"{kind} model server")
            if (given := ask(port, request)) != answer:
                raise RuntimeError(f"{kind} answers {given}, not {answer}")
        measured = {
            clients: bursts(options, servers, generator(), clients, request) for clients in CLIENTS
        }
    return [section(options, measured)]


def save_wine(folder: Path) -> tuple[Request, dict]:
    """Save the model as the project registers it; a request of one row, and the right answer."""
    sys.path.insert(0, str(ROOT / "projects" / "wine"))
    import dataset
    import training

    table = dataset.read_table(str(ROOT / "projects" / "wine" / "data" / "wine.csv"), "cultivar")
    train, test = dataset.train_and_test(table, dataset.Split(0.25, 2))
    model = training.fit(train, 1.0)
    mlflow.sklearn.save_model(model, folder, **training.description(model, train))
    row = test.features.head(1)
    body = {"dataframe_split": row.to_dict("split", index=False)}
    request = Request("POST", "/invocations", json.dumps(body).encode())
    return request, {"predictions": model.predict(row).tolist()}


def commands(folder: Path) -> list[tuple[str, list[str], dict[str, str]]]:
    """Name, command and settings of both servers."""
    reference = [str(MLFLOW), "models", "serve", "--env-manager", "local", "--port", "{port}"]
    reference += ["--model-uri", str(folder / "wine")]
    ours = [sys.executable, "-m", "model_server", "--port", "{port}"]
    settings = {"SERVING_MODELS": f"wine={folder / 'wine'}", "SERVING_CACHE": str(folder / "cache")}
    return [("reference", reference, {}), ("ours", ours, settings)]


def ask(port: int, request: Request) -> dict | None:
    """The parsed answer, or None while the server cannot answer."""
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}{request.path}"
    answer = httpx.post(url, content=request.body, headers=headers, timeout=30)
    return answer.json() if answer.status_code == 200 else None


def generator() -> Callable[[int, int, Request, float], Burst]:
    """wrk where it is installed; both servers always get the same generator."""
    return wrk.run if wrk.installed() else in_python


def in_python(port: int, clients: int, request: Request, seconds: float) -> Burst:
    """The same measurement by this package's own generator."""
    result = load.run(port, [itertools.repeat(request) for _ in range(clients)], seconds)
    return {
        "rate": result.rate,
        "p50": result.percentile(50),
        "p99": result.percentile(99),
        "errors": result.errors,
    }


def bursts(
    options: Options,
    servers: dict[str, tuple[int, Process]],
    generate: Callable[[int, int, Request, float], Burst],
    clients: int,
    request: Request,
) -> dict[str, list[Burst]]:
    """All bursts of both servers at a number of clients."""
    found: dict[str, list[Burst]] = {kind: [] for kind in servers}
    for port, _ in servers.values():
        generate(port, clients, request, 1)  # unmeasured: to warm up
    settle(*(process.pid for _, process in servers.values()))
    for _ in range(options.rounds):
        for kind, (port, _) in servers.items():
            found[kind].append(generate(port, clients, request, options.seconds))
    rates = {kind: median(burst["rate"] for burst in bursts) for kind, bursts in found.items()}
    say(f"serving: {clients} clients: {rates['ours'] / rates['reference']:.1f} times the reference")
    return found


def section(options: Options, measured: dict[int, dict[str, list[Burst]]]) -> Section:
    """The table: medians of each server at each number of clients."""
    rows, ratios = [], {}
    for clients, found in measured.items():
        middle = {
            kind: {key: median(burst[key] for burst in bursts) for key in ("rate", "p50", "p99")}
            for kind, bursts in found.items()
        }
        ratios[clients] = middle["ours"]["rate"] / middle["reference"]["rate"]
        for kind, bursts in found.items():
            rate, p50, p99 = (middle[kind][key] for key in ("rate", "p50", "p99"))
            errors = sum(burst["errors"] for burst in bursts)
            ratio = f"{ratios[clients]:.1f}" if kind == "ours" else ""
            figures = [f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{errors:.0f}", ratio]
            rows.append([f"{clients}", kind, *figures])
    made_by = "wrk" if wrk.installed() else "the generator in benchmarks/load.py"
    return Section(
        title="Predictions per second, one row a request",
        columns=["clients", "", "requests/s", "p50 ms", "p99 ms", "errors", "ratio"],
        rows=rows,
        summary=f"load by {made_by}, medians of {options.rounds} rounds of {options.seconds} s",
        data={"bursts": {str(k): v for k, v in measured.items()}, "ratios": ratios},
    )
