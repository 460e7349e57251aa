"""Ways to bring a fault about, and to undo it: context managers over a scene.

What they do is over when they are entered, and undone when they are left. Nothing here needs to
be root, and the shipped docker-compose.yml stays as it is.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import httpx

from chaos.ledger import ARTIFACTS
from chaos.scene import WAYWARD, Background, Scene
from tests.stack.shipped import docker
from tests.support import wait_until

Injection = Callable[[Scene], AbstractContextManager[None]]

SERVICES = ("postgres", "minio", "tracking", "serving")
BACK_OFF = 60  # seconds, at most, until a worker that keeps dying is started again
TRICKLE = 16  # pieces of a slow upload
PIECE = 64 * 1024  # bytes
CALM = (2.0, 8.0)  # seconds between two kills of the storm
STORM_LATENESS = 5  # times the storm's length, in which all must be acknowledged
# Each smaller than a worker of tracking, so that the kernel ends one of these.
HOGS = """
import os, time
for _ in range(40):
    if not os.fork():
        kept = os.urandom(1) * (40 * 2**20)
        time.sleep(SECONDS)
        break
else:
    time.sleep(SECONDS)
"""
CUT_CONNECTIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = 'mlflow' AND pid <> pg_backend_pid()
"""


def crash(service: str) -> Injection:
    """SIGKILL of all its processes. (`docker kill` would be an operator's will, after which no
    restart policy acts.)"""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        _crash(scene, service)
        yield

    return inject


def _crash(scene: Scene, service: str) -> bool:
    """Whether it was running."""
    done = docker("exec", scene.name(service), "sh", "-c", "kill -9 -1", check=False)
    return done.returncode in (0, 137)


def pause(service: str) -> Injection:
    """All processes stand still, and connections stay open."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        scene.docker("pause", scene.name(service))
        try:
            yield
        finally:
            scene.docker("unpause", scene.name(service))

    return inject


def stop(*services: str, meanwhile: str = "") -> Injection:
    """Stopped in order, then started; `meanwhile` another service restarts."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        scene.stack.compose("stop", *services)
        try:
            if meanwhile:
                scene.stack.compose("restart", meanwhile)
            yield
        finally:
            scene.stack.compose("start", *services)

    return inject


def restart(*services: str) -> Injection:
    """All services if none is named."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        scene.stack.compose("restart", *(services or SERVICES))
        yield

    return inject


@contextmanager
def cut_connections(scene: Scene) -> Iterator[None]:
    (count,) = scene.stack.sql(CUT_CONNECTIONS)
    scene.notes.append(f"{count} connections cut")
    scene.check(int(count) > 0, "tracking had no connection to cut")
    yield


def throttle(service: str, percent: int) -> Injection:
    """Leave it so much of one processor."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        before = scene.stack.container(service)["HostConfig"]["CpuQuota"]
        scene.docker("update", "--cpu-quota", str(1000 * percent), scene.name(service))
        try:
            yield
        finally:
            scene.docker("update", "--cpu-quota", str(before), scene.name(service))

    return inject


def unplug(service: str, network: str, reached: bool = False) -> Injection:
    """Pull the network out of a container, as an unplugged cable would: nobody is told.

    With `reached`, its published port answers all the same, by way of another network.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        name, aside = scene.name(service), f"{scene.stack.project}_aside"
        with contextlib.ExitStack() as undo:
            if reached:
                scene.docker("network", "create", aside)
                undo.callback(scene.docker, "network", "rm", aside)
                scene.docker("network", "connect", aside, name)
                undo.callback(scene.docker, "network", "disconnect", aside, name)
            full = f"{scene.stack.project}_{network}"
            scene.docker("network", "disconnect", full, name)
            aliases = ["--alias", service, "--alias", name]
            undo.callback(scene.docker, "network", "connect", *aliases, full, name)
            yield

    return inject


def hogs(service: str, seconds: float) -> Injection:
    """Processes in a service's container that take all of its memory."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        script = HOGS.replace("SECONDS", str(seconds))
        began = time.time()
        docker("exec", scene.name(service), "python3", "-c", script, check=False)
        events = ["--filter", "event=oom", "--filter", f"container={scene.name(service)}"]
        span = ["--since", f"{began:.3f}", "--until", f"{time.time():.3f}"]
        seen = len(scene.docker("events", *span, *events).splitlines())
        scene.notes.append(f"{seen} OOM events")
        scene.check(seen > 0, "the kernel killed nothing")
        yield

    return inject


def misbehave(act: str, model: str = WAYWARD, *, expected: tuple[int, ...]) -> Injection:
    """Ask a model for an act that ends badly. `expected`: the statuses that may answer it."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        well = partial(scene.ask, model, "answer")
        wait_until(lambda: well().status_code == 200, BACK_OFF, f"{model} is back from before")
        began = time.monotonic()
        answer = scene.ask(model, act)
        took = time.monotonic() - began
        scene.notes.append(f"`{act}` gets {answer.status_code} after {took:.1f} s")
        scene.check(
            answer.status_code in expected, f"{act} got {answer.status_code} {answer.text[:200]}"
        )
        yield

    return inject


@contextmanager
def terminate_serving(scene: Scene) -> Iterator[None]:
    """`docker compose stop` while predictions run that take three seconds."""
    asked = [Background(lambda: scene.ask(WAYWARD, "wait").status_code) for _ in range(2)]
    time.sleep(0.5)  # until they are on their way
    with stop("serving")(scene):
        _expect_ok(scene, "predictions", asked)
        yield


@contextmanager
def terminate_tracking(scene: Scene) -> Iterator[None]:
    """`docker compose stop` in the middle of uploads that take four seconds."""
    paths = [f"chaos/{time.time_ns()}-{number}.bin" for number in range(2)]
    sent = [Background(lambda path=path: _upload_slowly(scene, path)) for path in paths]
    time.sleep(1)  # until they are on their way
    with stop("tracking")(scene):
        _expect_ok(scene, "uploads", sent)
        yield


def _upload_slowly(scene: Scene, path: str) -> int:
    def pieces() -> Iterator[bytes]:
        for _ in range(TRICKLE):
            time.sleep(4 / TRICKLE)
            yield bytes(PIECE)

    return httpx.put(
        f"{scene.stack.tracking}{ARTIFACTS}/{path}", content=pieces(), timeout=60
    ).status_code


def _expect_ok(scene: Scene, what: str, in_flight: list[Background]) -> None:
    results = [one.result() for one in in_flight]
    shown = ", ".join(map(str, results))
    scene.notes.append(f"{what} in flight: {shown}")
    scene.check(results == [200] * len(in_flight), f"{what} in flight got {shown}")


@contextmanager
def kill_all(scene: Scene) -> Iterator[None]:
    """`docker compose kill`, then `docker compose up`."""
    scene.stack.compose("kill")
    try:
        yield
    finally:
        scene.stack.up()


@contextmanager
def storm(scene: Scene) -> Iterator[None]:
    """Crash services at random until the time is over and enough was acknowledged."""
    wanted = {"metrics": scene.storm.metrics, "artifacts": scene.storm.artifacts}
    chance = random.Random(scene.storm.seed)
    began = time.monotonic()
    kills = dict.fromkeys(SERVICES, 0)
    while True:
        passed = time.monotonic() - began
        found = scene.counts()
        if all(found[kind] >= count for kind, count in wanted.items()):
            if passed >= scene.storm.seconds:
                break
        elif passed > STORM_LATENESS * scene.storm.seconds:
            scene.problems.append(f"after {passed:.0f} s only {found}, wanted {wanted}")
            break
        time.sleep(chance.uniform(*CALM))
        service = chance.choice(SERVICES)
        kills[service] += _crash(scene, service)
        scene.say(f"killed {service}; acknowledged: {_counted(scene.counts())}")
    shown = ", ".join(f"{count} x {service}" for service, count in kills.items())
    scene.notes.append(f"seed {scene.storm.seed}, {passed:.0f} s, killed: {shown}")
    yield


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
