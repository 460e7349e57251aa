"""The faults, in the order in which they happen; those of the team overlay apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos import injections as by
from chaos.injections import ENDED, LATE, Injection
from chaos.load import LOG, PREDICT, STORE
from chaos.scene import LIMIT, LIMITED, WAYWARD

OF_TRACKING = (LOG, STORE)


@dataclass(frozen=True)
class Fault:
    """One fault. `hold`: seconds that it lasts. `lasting`: the way back counts from its end, else
    from its beginning. `spared`: the kinds of clients that must not notice anything. `within`:
    seconds in which all must be back."""

    name: str
    what: str
    inject: Injection
    hold: float = 0
    lasting: bool = True
    spared: tuple[str, ...] = ()
    within: float = 30


def crashes(service: str, what: str, *spared: str) -> Fault:
    return Fault(f"crash-{service}", what, by.crash(service), lasting=False, spared=spared)


def pauses(service: str, what: str, *spared: str) -> Fault:
    return Fault(f"pause-{service}", what, by.pause(service), hold=5, spared=spared)


def misbehaves(
    name: str, what: str, expected: Mapping[int, str], act: str = "", model: str = WAYWARD
) -> Fault:
    injection = by.misbehave(act or name, model, expected=expected)
    spared = (LOG, STORE, PREDICT)
    return Fault(f"model-{name}", what, injection, lasting=False, spared=spared, within=60)


FAULTS = (
    crashes("postgres", "PostgreSQL's processes killed", PREDICT, STORE),
    crashes("minio", "MinIO killed", PREDICT, LOG),
    crashes("tracking", "the tracking server killed", PREDICT),
    crashes("serving", "the model server killed", LOG, STORE),
    pauses("postgres", "PostgreSQL stands still for 5 s", PREDICT, STORE),
    pauses("minio", "MinIO stands still for 5 s", PREDICT, LOG),
    pauses("tracking", "the tracking server stands still for 5 s", PREDICT),
    pauses("serving", "the model server stands still for 5 s", LOG, STORE),
    Fault(
        "restart-postgres",
        "`docker compose restart postgres`",
        by.restart("postgres"),
        lasting=False,
        spared=(PREDICT,),
    ),
    Fault(
        "cut-connections",
        "PostgreSQL ends all connections of tracking",
        by.cut_connections,
        lasting=False,
        spared=(PREDICT, STORE),
    ),
    Fault("stop-minio", "MinIO gone for 10 s", by.stop("minio"), hold=10, spared=(PREDICT, LOG)),
    Fault(
        "slow-minio",
        "MinIO with 1 % of a processor for 15 s",
        by.throttle("minio", 1),
        hold=15,
        spared=(PREDICT, LOG),
    ),
    Fault(
        "no-tracking",
        "tracking gone, while serving restarts and serves for 5 s",
        by.restart_without_tracking,
        hold=5,
    ),
    Fault(
        "net-postgres",
        "PostgreSQL unplugged from the network for 10 s",
        by.unplug("postgres", "data"),
        hold=10,
        spared=(PREDICT,),
    ),
    Fault(
        "net-minio",
        "MinIO unplugged for 10 s",
        by.unplug("minio", "data"),
        hold=10,
        spared=(PREDICT, LOG),
    ),
    Fault(
        "net-data",
        "tracking unplugged from both for 10 s",
        by.unplug("tracking", "data"),
        hold=10,
        spared=(PREDICT,),
    ),
    Fault(
        "net-registry",
        "serving unplugged from tracking for 10 s; clients reach it",
        by.unplug("serving", "front", reached=True),
        hold=10,
        spared=OF_TRACKING,
    ),
    Fault(
        "net-front",
        "tracking unplugged from serving for 10 s; clients reach it",
        by.unplug("tracking", "front", reached=True),
        hold=10,
        spared=(PREDICT,),
    ),
    Fault(
        "net-clients-tracking",
        "clients and serving cannot reach tracking for 10 s",
        by.unplug("tracking", "front"),
        hold=10,
        spared=(PREDICT,),
    ),
    Fault(
        "net-clients-serving",
        "clients cannot reach serving for 10 s",
        by.unplug("serving", "front"),
        hold=10,
        spared=OF_TRACKING,
    ),
    misbehaves("exit", "a model ends its process", ENDED),
    misbehaves("segfault", "a model crashes the interpreter", ENDED),
    misbehaves("hang", "a model never answers (`SERVING_TIMEOUT=10`)", LATE),
    misbehaves("leak", "a model leaks until the container's memory is full", ENDED),
    misbehaves(
        "limit",
        f"a model leaks beyond its own limit (`serving.memory` = {LIMIT})",
        ENDED,
        act="leak",
        model=LIMITED,
    ),
    # The children take memory, for which the kernel may end it before the time limit does.
    misbehaves("fork", "a model forks until no process can be had", ENDED | LATE),
    misbehaves("fill", "a model fills `/tmp`", {200: "full"}),
    Fault("oom-tracking", "tracking's container is out of memory", by.hogs("tracking", 5)),
    Fault("stop-tracking", "tracking stopped in the middle of uploads", by.terminate_tracking),
    Fault("stop-serving", "serving stopped in the middle of predictions", by.terminate_serving),
    Fault("restart-all", "`docker compose restart`", by.restart(), lasting=False, within=60),
    Fault("kill-all", "`docker compose kill`, then `up`", by.kill_all, within=60),
    Fault("storm", "services killed at random", by.storm, within=60),
)
TEAM = (
    crashes("gateway", "the gateway killed"),
    pauses("gateway", "the gateway stands still for 5 s"),
)
BY_NAME = {fault.name: fault for fault in (*FAULTS, *TEAM)}
