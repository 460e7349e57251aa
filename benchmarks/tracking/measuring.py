"""Loads in alternating rounds: the same answers first, then speed, then what is in the database."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import httpx

from benchmarks import bursts, wrk
from benchmarks.bursts import Burst
from benchmarks.storage import Server
from benchmarks.tracking.loads import Load
from harness.postgres import Postgres
from harness.report import say

WARM_SECONDS = 1


class VoidError(Exception):
    """Why a figure would mean nothing."""


@dataclass(frozen=True)
class Side:
    """A load on one of the servers, with what its requests have in turn."""

    load: Load
    server: Server
    values: Mapping[str, Sequence[str]]


@dataclass
class Measured:
    """Every burst on one server; `void` is why they mean nothing."""

    bursts: list[Burst] = field(default_factory=list)
    void: str = ""

    def median(self, name: str) -> float:
        """The median of a burst's figure: rate, p50, p95, cpu."""
        return median(getattr(one, name) for one in self.bursts)

    def cells(self) -> list[str]:
        """Rate, p50, p95 and CPU as text."""
        if self.void:
            return [""] * len(COLUMNS)
        rate = self.median("rate")
        times = [f"{self.median(name):.2f}" for name in ("p50", "p95", "cpu")]
        return [f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}", *times]


COLUMNS = ["requests/s", "p50 ms", "p95 ms", "CPU ms a request"]
Figures = dict[str, Measured]
"""By server."""


def ratio(figures: Figures, one: str, other: str, name: str = "rate") -> float | None:
    """How many times a server's figure is another's; None where one is not there or void."""
    if any(server not in figures or figures[server].void for server in (one, other)):
        return None
    return figures[one].median(name) / figures[other].median(name)


def as_dict(figures: Mapping[str, Figures]) -> dict[str, Any]:
    """Every burst of every load, for the JSON file."""
    return {
        load: {name: asdict(one) for name, one in servers.items()}
        for load, servers in figures.items()
    }


class Loading:
    """Puts loads on servers that share one PostgreSQL."""

    def __init__(self, postgres: Postgres, rounds: int, seconds: float) -> None:
        self._postgres, self._rounds, self._seconds = postgres, rounds, seconds

    def alternate(self, sides: Sequence[Side], warm: float = WARM_SECONDS) -> Figures:
        """Every burst of each side, round by round."""
        figures = {side.server.name: Measured() for side in sides}
        for number in range(self._rounds + 1):  # the first, unmeasured, warms up
            for side in sides:
                one = figures[side.server.name]
                if one.void:
                    continue
                try:
                    seconds = self._seconds * side.load.long if number else warm
                    seen = self._burst(side, seconds, answers=number > 0)
                    one.bursts += [seen] if number else []
                except VoidError as error:
                    one.void = str(error)
        say(f"tracking: {sides[0].load.label}: {_told(figures)}")
        return figures

    def _burst(self, side: Side, seconds: float, answers: bool) -> Burst:
        """One burst, all of whose answers were good and are in the database. Raises VoidError."""
        first = time.time_ns() // 1000  # increases faster than any load counts
        load, server, core = side.load, side.server, bursts.core()

        def run() -> dict[str, float]:
            seen = wrk.run(
                server.uri, load.clients, load.request, seconds, core, side.values, first
            )
            # Where a burst holds few, what it did not see the end of counts.
            few = load.long > 1 and seen["requests"]
            return seen | ({"rate": 1000 * load.clients / seen["mean"]} if few else {})

        seen = bursts.of(run, server.process.pid, seconds)
        if seen.errors:
            raise VoidError(f"{seen.errors} of {seen.requests} answers were no 2xx, or missing")
        if answers and not seen.requests:
            raise VoidError(f"no answer within {seconds:g} s")
        if load.count:
            query = load.count.format(first=first)
            ((rows,),) = self._postgres.execute(query, server.database)
            prove(load, seen.requests, rows)
        return seen


def prove(load: Load, answers: int, rows: int) -> None:
    """Whether the database has what was acknowledged, and no more than was asked. VoidError."""
    least, most = (load.rows * count for count in (answers, answers + load.clients))
    if load.at_most:
        least, most = min(least, load.at_most), min(most, load.at_most)
    if not least <= rows <= most:
        raise VoidError(f"{answers} answers: {rows} rows, not {least} to {most}")


def compare(load: Load, run: str, servers: Sequence[Server]) -> dict[str, str]:
    """What servers answer that is not what the first one does, or nothing at all, by name."""
    method, path = load.request.method, load.request.path.replace("{{run}}", run)
    known: Any = None
    others: dict[str, str] = {}
    for server in servers:
        answer = httpx.request(
            method,
            f"{server.uri}{path}",
            content=load.request.body,
            headers=dict(load.request.headers),
            timeout=60,
        )
        content = _sorted(answer.json()) if answer.is_success else answer.text
        known = known or content
        if not answer.is_success or not content or content != known:
            others[server.name] = f"{answer.status_code} with another answer: {str(content)[:200]}"
    return others


def _sorted(value: Any) -> Any:
    """The same with lists in one order: parameters have none."""
    if isinstance(value, dict):
        return {key: _sorted(one) for key, one in value.items()}
    return sorted(map(_sorted, value), key=repr) if isinstance(value, list) else value


def _told(figures: Figures) -> str:
    return ", ".join(
        f"{name} {f'void: {one.void}' if one.void else f'{one.cells()[0]}/s'}"
        for name, one in figures.items()
    )
