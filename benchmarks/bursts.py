"""One burst of load on one server, and what it cost the server's processes."""

import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import load, wrk
from benchmarks.load import Request
from benchmarks.processes import cpu_seconds

REST_SHARE = 0.2  # of one core
REST_SECONDS = 0.1
REST_DEADLINE = 60.0


@dataclass(frozen=True)
class Burst:
    """What the clients saw, and the processor time of the server's processes meanwhile."""

    rate: float  # good answers a second
    p50: float  # ms
    p95: float  # ms
    p99: float  # ms
    requests: int
    errors: int
    front: float  # processor seconds of the process that was started
    others: float  # processor seconds of those that it has started
    generator: float  # share of one core that the generator used

    @property
    def cpu(self) -> float:
        """Processor milliseconds a request."""
        return 1000 * (self.front + self.others) / max(1, self.requests)


def generator() -> str:
    return "wrk" if wrk.installed() else "the generator in benchmarks/load.py"


def length(seconds: float) -> float:
    """How long a burst really is."""
    return wrk.whole(seconds) if wrk.installed() else seconds


def core() -> int:
    """The core that is the generator's own: the last."""
    return max(os.sched_getaffinity(0))


def other_cores() -> str:
    """All cores but the generator's, as taskset takes them. Raises ValueError if there are none."""
    others = os.sched_getaffinity(0) - {core()}
    if not others:
        raise ValueError("--cores rest: this machine has one core only")
    return ",".join(map(str, sorted(others)))


def burst(port: int, pid: int, clients: int, request: Request, seconds: float) -> Burst:
    """Load one server, then wait until it has worked off what the clients left behind.

    seconds: see `length`.
    """
    if wrk.installed():
        url = f"http://127.0.0.1:{port}"
        return of(lambda: wrk.run(url, clients, request, seconds, core()), pid, seconds)
    return of(lambda: in_python(port, clients, request, seconds), pid, seconds)


def of(load: Callable[[], Mapping[str, float]], pid: int, seconds: float) -> Burst:
    """What a load measured, and what it cost a server."""
    before, start = cpu_seconds(pid), _generator_seconds()
    seen = load()
    after, used = cpu_seconds(pid), _generator_seconds() - start
    rest(pid)
    spent = {one: used - before.get(one, 0.0) for one, used in after.items()}
    front = spent.pop(pid)
    return Burst(
        rate=seen["rate"],
        p50=seen["p50"],
        p95=seen["p95"],
        p99=seen["p99"],
        requests=round(seen["requests"]),
        errors=round(seen["errors"]),
        front=front,
        others=sum(spent.values()),
        generator=used / length(seconds),
    )


def _generator_seconds() -> float:
    """Processor seconds of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def in_python(port: int, clients: int, request: Request, seconds: float) -> dict[str, float]:
    """The same measurement by this package's own generator."""
    result = load.run(port, [itertools.repeat(request) for _ in range(clients)], seconds)
    return {
        "rate": result.rate,
        **{f"p{percent}": result.percentile(percent) for percent in (50, 95, 99)},
        "requests": result.requests,
        "errors": result.errors,
    }


def rest(pid: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until a server's processes use less than a fifth of a core, for at most a minute."""
    deadline = time.monotonic() + REST_DEADLINE
    used = sum(cpu_seconds(pid).values())
    while time.monotonic() < deadline:
        sleep(REST_SECONDS)
        before, used = used, sum(cpu_seconds(pid).values())
        if used - before < REST_SHARE * REST_SECONDS:
            return
