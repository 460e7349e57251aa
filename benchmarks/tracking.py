"""Our tracking server against `mlflow server` with its defaults, on the same database and S3."""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from benchmarks.loads import LOADS, Load, Target, seed
from benchmarks.options import Options
from benchmarks.processes import memory, settle
from benchmarks.rounds import Comparison, compare
from benchmarks.storage import Server, running
from harness.report import Section, say


def measure(options: Options) -> list[Section]:
    """Start times, then loads in alternating rounds, then memory after all this load."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as storage:
        ours, database = storage.ours()
        try:
            say("tracking: filling the database")
            ours.start()
            target = seed(ours.port, options.runs, asker(ours))
            ours.stop()
            reference = storage.reference(database)
            try:
                return [
                    start_times(options, reference, ours),
                    *loads(options, reference, ours, target),
                ]
            finally:
                reference.stop()
        finally:
            ours.stop()


def asker(server: Server):
    """A function that makes one API call to a server."""
    client = httpx.Client(base_url=f"{server.uri}/api/2.0/mlflow", timeout=60)

    def ask(path: str, **body: object) -> dict:
        return client.post(path, json=body).raise_for_status().json()

    return ask


def start_times(options: Options, reference: Server, ours: Server) -> Section:
    """Seconds from the start of the process to the first 200 of a search, alternating."""
    seconds: dict[str, list[float]] = {reference.name: [], ours.name: []}
    for server in (reference, ours):  # once unmeasured: files cached, byte code compiled
        server.start()
        server.stop()
    for number in range(options.starts):
        for server in (reference, ours):
            seconds[server.name].append(server.start())
            server.stop()
        say(f"tracking: start {number + 1} of {options.starts}: {show(seconds)}")
    slow, fast = median(seconds[reference.name]), median(seconds[ours.name])
    return Section(
        title="Seconds from process start to the first answered search",
        columns=["", "median", "least", "most"],
        rows=[
            [name, *(f"{f(times):.1f}" for f in (median, min, max))]
            for name, times in seconds.items()
        ],
        summary=f"{slow / fast:.1f} times sooner (median of {options.starts} starts)",
        data={"seconds": seconds, "ratio": slow / fast},
    )


def show(seconds: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {times[-1]:.1f} s" for name, times in seconds.items())


def loads(options: Options, reference: Server, ours: Server, target: Target) -> list[Section]:
    """Rates under each load, then the memory of both."""
    for server in (reference, ours):
        server.start()
    comparisons = []
    for load in LOADS:

        def rate(server: Server, load: Load = load) -> float:
            return load.measure(server.port, target, options.seconds)

        for server in (reference, ours):
            load.measure(server.port, target, 1)  # unmeasured: to warm up
        settle(reference.process.pid, ours.process.pid)
        one = compare(load.name, options.rounds, partial(rate, reference), partial(rate, ours))
        say(f"tracking: {load.name}: {one.ratio:.2f} of the reference")
        comparisons.append(one)
    settle(reference.process.pid, ours.process.pid)
    return [rates(options, comparisons), footprint(options, reference, ours)]


def rates(options: Options, comparisons: list[Comparison]) -> Section:
    slower = [one.name for one in comparisons if not one.holds]
    return Section(
        title="Requests per second under load",
        columns=["load", "reference", "ours", "ratio", "reference's own spread", "verdict"],
        rows=[
            [
                one.name,
                f"{one.reference_median:.0f}",
                f"{one.ours_median:.0f}",
                f"{one.ratio:.2f}",
                f"{one.spread:.0%}",
                one.verdict,
            ]
            for one in comparisons
        ],
        summary=f"slower than the reference's own spread: {', '.join(slower) or 'none'} "
        f"(medians of {options.rounds} rounds of {options.seconds} s)",
        data={"comparisons": [one.as_dict() for one in comparisons]},
    )


def footprint(options: Options, reference: Server, ours: Server) -> Section:
    mib = {s.name: memory(s.process.pid) / 2**20 for s in (reference, ours)}
    ratio = mib[ours.name] / mib[reference.name]
    burst = options.rounds * options.seconds * len(LOADS)
    return Section(
        title="Memory of all processes (PSS) after the load",
        columns=["", "MiB"],
        rows=[[name, f"{size:.0f}"] for name, size in mib.items()],
        summary=f"{ratio:.2f} of the reference's, after {burst:.0f} s of load "
        f"(the reference {2 * burst:.0f} s)",
        data={"mib": mib, "ratio": ratio},
    )
