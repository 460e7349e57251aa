"""Start all servers on one model, compare their answers, then load them in alternating rounds."""

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.bursts import Burst, burst, other_cores
from benchmarks.options import Options
from benchmarks.processes import memory
from benchmarks.serving import stages
from benchmarks.serving.cases import ROWS, Case
from benchmarks.serving.plan import Cell
from benchmarks.serving.servers import BEFORE, OURS, PLAIN, REFERENCE, Server
from benchmarks.serving.stages import Stage
from harness.ports import free_port
from harness.processes import Process, clean_environment
from harness.report import say
from host.paths import ROOT

START_SECONDS = 180
WARM_SECONDS = 1
# Every server alike: with more threads than free cores, small batches wait at their barriers.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
TOLERANCE = 1e-9  # of a number, relative


@dataclass
class Measured:
    """Every burst on one server in one cell."""

    bursts: list[Burst] = field(default_factory=list)
    memory: int = 0  # PSS of its processes afterwards, bytes
    stages: dict[str, Stage] = field(default_factory=dict)  # of ours, over all bursts

    def __getattr__(self, name: str) -> float:
        """The median of a burst's figure: rate, p50, p99, cpu."""
        if name not in ("rate", "p50", "p99", "cpu"):
            raise AttributeError(name)
        return median(getattr(one, name) for one in self.bursts)

    @property
    def errors(self) -> int:
        return sum(one.errors for one in self.bursts)

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.bursts)


Figures = dict[str, dict[Cell, dict[str, Measured]]]
"""By model, cell and server."""


@dataclass(frozen=True)
class Running:
    server: Server
    process: Process
    port: int

    def ask(self, case: Case, rows: int) -> list[Any] | None:
        """The predictions for so many rows, or None while it does not answer 200."""
        request = self.server.request(case, rows)
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}{request.path}",
            content=request.body,
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        return self.server.answers(answer.json()) if answer.status_code == 200 else None


def measure(
    options: Options, case: Case, servers: list[Server], cells: Iterable[Cell]
) -> tuple[dict[Cell, dict[str, Measured]], dict[str, str]]:
    """All cells of one model; and why servers are missing, by name.

    A server of ours or the reference that fails raises; a peer that does is left out.
    """
    missing: dict[str, str] = {}
    figures = {}
    with running(options, case, servers, missing) as up:
        for one in [one for one in up if one.server.models]:
            for rows in (1, ROWS):
                answers, right = one.ask(case, rows), case.answers[:rows]
                if not same(answers, right):
                    reason = f"{case.name}, {rows} rows: it answers {str(answers)[:80]}"
                    missing[one.server.name] = reason
        up = [one for one in up if one.server.name not in missing]
        _refuse(missing)
        say(f"serving: {case.name}: {len(up)} servers run, and their answers are the same")
        for cell in cells:
            figures[cell] = _cell(options, case, up, cell)
            say(f"serving: {case.name}: {_told(cell, figures[cell])}")
    return figures, missing


def _refuse(missing: dict[str, str]) -> None:
    for name in (OURS, BEFORE, PLAIN, REFERENCE):
        if name in missing:
            raise RuntimeError(f"{name}: {missing[name]}")


@contextlib.contextmanager
def running(
    options: Options, case: Case, servers: list[Server], missing: dict[str, str]
) -> Iterator[list[Running]]:
    """All servers, answering; those that do not come up are named in `missing`."""
    with contextlib.ExitStack() as stack:
        started = []
        for server in servers:
            port = free_port()
            folder = case.folder / f"of-{server.name.replace(' ', '-')}"
            folder.mkdir()
            command = server.command(case, port)
            if options.cores == "rest":
                command = ["taskset", "--cpu-list", other_cores(), *command]
            variables = clean_environment(**ONE_THREAD, **server.variables(case, folder))
            variables["PYTHONPATH"] += f":{ROOT}"
            process = Process(command, variables, folder / "log")
            stack.callback(process.stop)
            process.start()
            started.append(Running(server, process, port))
        up = []
        for one in started:
            name = one.server.name
            try:
                what = f"{name} with {case.name}"
                one.process.wait_for(lambda one=one: one.ask(case, 1), START_SECONDS, what)
                up.append(one)
            except AssertionError as error:
                missing[name] = f"{case.name}: it did not start: {_last_line(error)}"
                _keep(one.process.log, name)
        _refuse(missing)
        yield up


def _last_line(error: AssertionError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200]


def _keep(log: Path, name: str) -> None:
    say(f"serving: {name} did not start; its log ends so:")
    for line in log.read_text(errors="replace").splitlines()[-20:]:
        say(f"    {line}")


def same(answers: Any, right: list[Any]) -> bool:
    """Whether predictions are equal: words and labels exactly, numbers to 1e-9."""
    if not isinstance(answers, list) or len(answers) != len(right):
        return False
    return all(map(_equal, answers, right))


def _equal(answer: Any, right: Any) -> bool:
    if not isinstance(right, int | float) or not isinstance(answer, int | float):
        return answer == right
    return math.isclose(answer, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _cell(options: Options, case: Case, up: list[Running], cell: Cell) -> dict[str, Measured]:
    measured = {one.server.name: Measured() for one in up}
    requests = {one.server.name: one.server.request(case, cell.rows) for one in up}

    def once(one: Running, seconds: float) -> Burst:
        request = requests[one.server.name]
        return burst(one.port, one.process.pid, cell.clients, request, seconds)

    ours = [one for one in up if one.server.name in (OURS, BEFORE, PLAIN)]
    for one in up:
        once(one, WARM_SECONDS)  # unmeasured
    before = {one.server.name: stages.read(one.port) for one in ours}
    for _ in range(cell.rounds):
        for one in up:
            measured[one.server.name].bursts.append(once(one, options.seconds))
    for one in ours:
        name = one.server.name
        measured[name].stages = stages.between(before[name], stages.read(one.port))
    for one in up:
        measured[one.server.name].memory = memory(one.process.pid)
    return measured


def _told(cell: Cell, measured: dict[str, Measured]) -> str:
    rates = ", ".join(f"{name} {one.rate:.0f}/s" for name, one in measured.items())
    return f"{cell.rows} rows, {cell.clients} clients: {rates}"
