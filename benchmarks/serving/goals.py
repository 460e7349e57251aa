"""The ratios that this server is held to, and whether they are met."""

from collections.abc import Iterator

from benchmarks.goal import Goal
from benchmarks.serving.measuring import Figures, Measured
from benchmarks.serving.plan import GOALS
from benchmarks.serving.servers import BEFORE, FRONTS, OURS, PEERS, PLAIN, REFERENCE

FAST = 150.0
SLOW = {"logistic": 80.0, "forest": 30.0}
KEPT = 0.95  # of the rate that an earlier checkout has


def goals(figures: Figures) -> Iterator[Goal]:
    """All goals of the models that have some; where an earlier checkout was measured, of all."""
    for model in GOALS:
        if model not in figures:
            continue

        def at(rows: int, clients: int, model: str = model) -> dict[str, Measured]:
            cells = figures[model].items()
            return next((f for c, f in cells if (c.rows, c.clients) == (rows, clients)), {})

        busy, alone, tables = at(1, 64), at(1, 1), at(100, 64)
        many = f"{model}, 64 clients: requests/s, "
        yield Goal(f"{many}{OURS} by {REFERENCE}", _faster(busy, OURS, REFERENCE), FAST)
        yield Goal(f"{many}{PLAIN} by {REFERENCE}", _faster(busy, PLAIN, REFERENCE), SLOW[model])
        for peer, times in PEERS.items():
            yield Goal(f"{many}{OURS} by {peer}", _faster(busy, OURS, peer), times)
        for front in FRONTS:
            yield Goal(f"{many}{OURS} by {front}", _faster(busy, OURS, front), 0.6)
        tail = None
        if OURS in busy:
            tail = busy[OURS].p99 / busy[OURS].p50
        yield Goal(f"{model}, 64 clients: {OURS}, p99 by p50", tail, 4.0, at_most=True)
        one = f"{model}, 1 client: p50, "
        yield Goal(f"{one}{REFERENCE} by {OURS}", _sooner(alone, OURS, REFERENCE), 20.0)
        yield Goal(f"{one}{REFERENCE} by {PLAIN}", _sooner(alone, PLAIN, REFERENCE), 8.0)
        for peer in PEERS:
            yield Goal(f"{one}{peer} by {OURS}", _sooner(alone, OURS, peer), 1.0)
        what = f"{model}, 64 clients, 100 rows: requests/s, {OURS} by {REFERENCE}"
        yield Goal(what, _faster(tables, OURS, REFERENCE), 20.0)
    for model, cells in figures.items():
        for cell, servers in cells.items():
            if BEFORE in servers:
                what = f"{model}, {cell.clients} clients, {cell.rows} rows: requests/s, "
                yield Goal(f"{what}{OURS} by {BEFORE}", _faster(servers, OURS, BEFORE), KEPT)


def _faster(servers: dict[str, Measured], ours: str, other: str) -> float | None:
    if ours not in servers or other not in servers:
        return None
    return servers[ours].rate / servers[other].rate


def _sooner(servers: dict[str, Measured], ours: str, other: str) -> float | None:
    if ours not in servers or other not in servers:
        return None
    return servers[other].p50 / servers[ours].p50
