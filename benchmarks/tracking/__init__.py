"""Our tracking server against `mlflow server` with its defaults, on the same PostgreSQL and S3."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks import goal
from benchmarks.bursts import core, length
from benchmarks.goal import Goal
from benchmarks.options import Options
from benchmarks.processes import memory, settle
from benchmarks.storage import OURS, REFERENCE, Server, Storage, running
from benchmarks.tracking import filling, script, team
from benchmarks.tracking.filling import Sizes
from benchmarks.tracking.loads import loads
from benchmarks.tracking.measuring import (
    COLUMNS,
    Figures,
    Loading,
    Measured,
    Side,
    as_dict,
    compare,
    ratio,
)
from harness.report import Section, say

MANY = 10_000  # runs that a script searches, with FULL=1
RATES = {
    "log-metric, 1 client": 5,
    "log-metric, 16 clients": 20,
    "log-metric, 64 clients": 30,
    "log-batch": 8,
    "log-parameter": 8,
    "set-tag": 8,
    "create-run": 8,
    "update-run": 8,
    "get-run": 8,
    "get-by-name": 8,
    "search, page of 100,": 5,
    "search, page of 1,000,": 12,
    "history": 6,
    "OTLP": 5,
}
"""How many times as many requests as `mlflow server` it must answer, by a load's first words."""
TAIL, TIMES = "log-metric, 16 clients", 25
MEMORY = 0.2


def measure(options: Options) -> list[Section]:
    """Start times, then loads in alternating rounds, then memory after all this load."""
    many = MANY if os.environ.get("FULL") == "1" else 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as storage:
        servers = [storage.reference(), storage.ours()]
        if options.before:
            servers.insert(1, storage.before(options.before))
        ours = servers[-1]
        try:
            say("tracking: first starts, and filling the databases")
            for server in servers:  # files cached, byte code compiled, tables made
                server.start()
                server.stop()
                filling.fill(storage.postgres, server, Sizes(options.runs, options.points, many))
            starts = start_times(options, servers)
            loading = Loading(storage.postgres, options.rounds, options.seconds)
            ours.start()
            logins = team.measure(loading, storage, ours)
            for server in servers[:-1]:
                server.start()
            figures = loaded(options, storage, loading, servers)
            footprints, share = footprint(servers)
            waits = script.measure(options, servers, many)
        finally:
            for server in servers:
                server.stop()
        least = Goal(f"memory, {OURS} by {REFERENCE}", share, MEMORY, at_most=True)
        asked = [*goals(figures), least, *team.goals(logins)]
        return [
            goal.section("Tracking: what is asked of it", asked),
            under_load(options, storage, figures),
            team.section(logins),
            waits,
            starts,
            footprints,
            *goal.not_measured(void(figures) | void(logins)),
        ]


def start_times(options: Options, servers: Sequence[Server]) -> Section:
    """Seconds from the start of the process to the first 200 of a search, alternating."""
    seconds: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(options.starts):
        for server in servers:
            seconds[server.name].append(server.start())
            server.stop()
        shown = ", ".join(f"{name} {times[-1]:.1f} s" for name, times in seconds.items())
        say(f"tracking: start {number + 1} of {options.starts}: {shown}")
    times_sooner = median(seconds[REFERENCE]) / median(seconds[OURS])
    return Section(
        title="Seconds from process start to the first answered search",
        columns=["", "median", "least", "most"],
        rows=[
            [name, *(f"{f(times):.1f}" for f in (median, min, max))]
            for name, times in seconds.items()
        ],
        summary=f"{times_sooner:.1f} times sooner (median of {options.starts} starts)",
        data={"seconds": seconds, "ratio": times_sooner},
    )


def loaded(
    options: Options, storage: Storage, loading: Loading, servers: Sequence[Server]
) -> dict[str, Figures]:
    """Every load on every server."""
    figures = {}
    words = [word.strip() for word in options.loads.split(",")]
    for load in loads(options.points):
        if not any(word in load.label for word in words):
            continue
        runs = filling.runs(storage.postgres, servers[0], load.runs)[: load.targets]
        wrong = {} if load.count else compare(load, runs[0], servers)
        settle(*(server.process.pid for server in servers))
        sides = [Side(load, one, {"run": runs}) for one in servers if one.name not in wrong]
        figures[load.label] = loading.alternate(sides) if sides else {}
        figures[load.label] |= {name: Measured(void=reason) for name, reason in wrong.items()}
    return figures


def goals(figures: Mapping[str, Figures]) -> list[Goal]:
    """What is asked of rates, and of the slowest answers."""
    found = []
    for load, servers in figures.items():
        for start, times in RATES.items():
            if load.startswith(start):
                what = f"{load}: requests/s, {OURS} by {REFERENCE}"
                found.append(Goal(what, ratio(servers, OURS, REFERENCE), times))
        if load == TAIL:
            what = f"{load}: p95, {REFERENCE} by {OURS}"
            found.append(Goal(what, ratio(servers, REFERENCE, OURS, "p95"), TIMES))
    return found


def under_load(options: Options, storage: Storage, figures: Mapping[str, Figures]) -> Section:
    rows = []
    for load, servers in figures.items():
        for name, one in servers.items():
            times = [ratio(servers, OURS, name), ratio(servers, name, OURS, "p95")]
            shown = [f"{found:.3g}" if found else "" for found in times]
            rows.append([load, name, *one.cells(), *(["", ""] if name == OURS else shown)])
    measured = [one for servers in figures.values() for one in servers.values()]
    busiest = max((burst.generator for one in measured for burst in one.bursts), default=0.0)
    return Section(
        title="Tracking under load",
        columns=["load", "", *COLUMNS, "ours is times faster", "p95 is times lower"],
        rows=rows,
        summary=f"medians of {options.rounds} alternating rounds of {length(options.seconds):g} s; "
        f"load by one thread of wrk on core {core()}, of which it used {busiest:.0%} at most; "
        f"{OURS} has 2 workers, {REFERENCE} 4 and its job runner, on PostgreSQL {storage.facts()}; "
        "every answer was a 2xx, all that was acknowledged is in "
        "the database, and readers got the same answer from each server",
        data=as_dict(figures),
    )


def void(figures: Mapping[str, Figures]) -> dict[str, str]:
    """Why figures are missing, by load and server."""
    return {
        f"{load}: {name}": one.void
        for load, servers in figures.items()
        for name, one in servers.items()
        if one.void
    }


def footprint(servers: Sequence[Server]) -> tuple[Section, float]:
    """The memory of each after the load, and how much of the reference's ours takes."""
    settle(*(server.process.pid for server in servers))
    mib = {server.name: memory(server.process.pid) / 2**20 for server in servers}
    share = mib[OURS] / mib[REFERENCE]
    section = Section(
        title="Memory of all processes (PSS) after the load",
        columns=["", "MiB"],
        rows=[[name, f"{size:.0f}"] for name, size in mib.items()],
        summary=f"{share:.2f} of the reference's",
        data={"mib": mib, "ratio": share},
    )
    return section, share
