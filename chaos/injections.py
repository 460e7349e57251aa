"""Ways to bring a fault about, and to undo it: context managers over a scene.

What they do is over when they are entered, and undone when they are left. Nothing here needs to
be root, and the shipped docker-compose.yml stays as it is.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import httpx

from chaos.ledger import ARTIFACTS
from chaos.scene import SERVED_SECONDS, WAYWARD, Background, Scene
from harness.stack import docker
from harness.waiting import wait_until

Injection = Callable[[Scene], AbstractContextManager[None]]

SERVICES = ("postgres", "minio", "tracking", "serving")
BACK_OFF = 60  # seconds, at most, until a worker that keeps dying is started again
RESTART = 30  # seconds, at most, until the engine starts a container that has ended
ENDED = {503: "ended before it answered"}
LATE = {504: "No answer within the time limit"}
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
    """SIGKILL of all its processes.

    `docker kill` would be an operator's will, after which no restart policy acts.
    """

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        scene.check(_crash(scene, service), f"{service} was not killed")
        yield

    return inject


def _crash(scene: Scene, service: str) -> bool:
    """Whether it was running and ended; the engine has started the container again then."""
    before = _start(scene, service)
    if not before:
        return False
    docker("exec", scene.name(service), "sh", "-c", "kill -9 -1", check=False)
    with contextlib.suppress(AssertionError):
        return wait_until(
            lambda: _start(scene, service) not in (before, ""), RESTART, f"{service} starts again"
        )
    return False


def _start(scene: Scene, service: str) -> str:
    """When a container was started; empty where it does not run."""
    state = '{{if eq .State.Status "running"}}{{.State.StartedAt}}{{end}}'
    return scene.docker("inspect", "--format", state, scene.name(service)).strip()


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


def stop(*services: str) -> Injection:
    """Stopped in order, then started."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        scene.stack.compose("stop", *services)
        try:
            yield
        finally:
            scene.stack.compose("start", *services)

    return inject


@contextmanager
def restart_without_tracking(scene: Scene) -> Iterator[None]:
    """Serving restarts while tracking is gone, and serves what it served."""
    with stop("tracking")(scene):
        scene.stack.compose("restart", "serving")
        took = scene.comes(scene.is_steady, SERVED_SECONDS, "served without tracking")
        if took is not None:
            scene.notes.append(f"serving answers without it after {took:.1f} s")
        yield


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
    """Leave it a share of one processor."""

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
    """Processes in a service's container that take all of its memory, until the kernel kills some
    of the service's own."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        script = HOGS.replace("SECONDS", str(seconds))
        began, own = time.time(), _processes(scene, service)
        docker("exec", scene.name(service), "python3", "-c", script, check=False)
        events = ["--filter", "event=oom", "--filter", f"container={scene.name(service)}"]
        span = ["--since", f"{began:.3f}", "--until", f"{time.time():.3f}"]
        seen = len(scene.docker("events", *span, *events).splitlines())
        killed = len(own - _processes(scene, service))
        scene.notes.append(f"{seen} OOM events, {killed} of its {len(own)} processes killed")
        scene.check(seen > 0, "the container was never out of memory")
        scene.check(killed > 0, f"the kernel killed nothing of {service}'s own")
        yield

    return inject


def _processes(scene: Scene, service: str) -> set[str]:
    """Pids, as the host counts, of a service's own processes: not of what was executed in its
    container, whose parent is outside."""
    listed = docker("top", scene.name(service), "-eo", "pid,ppid", check=False).stdout
    parents = dict(line.split() for line in listed.splitlines()[1:])
    return {pid for pid, parent in parents.items() if parent in parents}


def misbehave(act: str, model: str = WAYWARD, *, expected: Mapping[int, str]) -> Injection:
    """Ask a model for an act, and then until it answers well again. `expected`: the statuses that
    may answer the act, and what such an answer says."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        def is_well() -> bool:
            answer = scene.ask(model, "answer")
            return answer.status_code == 200 and answer.json() == {"predictions": ["well"]}

        wait_until(is_well, BACK_OFF, f"{model} is back from before")
        began = time.monotonic()
        answer = scene.ask(model, act)
        took = time.monotonic() - began
        scene.notes.append(f"`{act}` gets {answer.status_code} after {took:.1f} s")
        status, text = answer.status_code, answer.text[:200]
        right = status in expected and expected[status] in text
        scene.check(right, f"{act} got {status} {text}")
        back = scene.comes(is_well, BACK_OFF, f"{model} is served again")
        if back is not None:
            scene.notes.append(f"served again after {back:.1f} s")
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
        counts = scene.counts()
        if all(counts[kind] >= count for kind, count in wanted.items()):
            if passed >= scene.storm.seconds:
                break
        elif passed > STORM_LATENESS * scene.storm.seconds:
            scene.problems.append(f"after {passed:.0f} s only {counts}, wanted {wanted}")
            break
        time.sleep(chance.uniform(*CALM))
        service = chance.choice(SERVICES)
        if _crash(scene, service):
            kills[service] += 1
            scene.say(f"killed {service}; acknowledged: {_counted(scene.counts())}")
    shown = ", ".join(f"{count} x {service}" for service, count in kills.items())
    scene.check(any(kills.values()), "nothing was killed")
    scene.notes.append(f"seed {scene.storm.seed}, {passed:.0f} s, killed: {shown}")
    yield


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
