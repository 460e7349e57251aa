"""Which of the two ways to run the stack it is: Docker Compose, or processes of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from host import compose, engine, local
from host.settings import Settings
from host.terminal import StackError

LOCAL_INSTEAD = "or run without Docker: STACK_MODE=local"


@dataclass(frozen=True)
class Choice:
    """mode: compose or local. reason: one line for the user. running: it runs already."""

    mode: str
    reason: str
    running: bool


def choose(settings: Settings) -> Choice:
    """What runs already, else Compose where an engine answers, else local processes.

    Raises StackError if Compose is asked for, or an engine answers, that cannot be used.
    """
    if settings.mode == "local":
        return Choice("local", "local processes, as STACK_MODE says", local.running())
    if settings.mode == "auto" and local.running():
        return Choice("local", "local processes, which run already", True)
    found = engine.find()
    if found.problem and (found.answers or settings.mode == "compose"):
        way = f"{found.problem}, {LOCAL_INSTEAD}"
        raise StackError(f"Docker: expected {engine.expected()}, found {found.found}: {way}")
    if found.problem:
        reason = f"local processes, since: {found.found} (for Docker: {found.problem})"
        return Choice("local", reason, False)
    return Choice("compose", f"Docker Compose ({found.found})", compose.running())


@dataclass(frozen=True)
class Found:
    """modes: those it is true of. unasked: why Compose could not be asked, with the way out, or
    "" if it was asked or is not there."""

    modes: list[str]
    unasked: str


def running(settings: Settings) -> Found:
    """The modes in which this checkout's stack runs."""
    return _where(settings, lambda: local.running() or local.left_behind(), compose.running)


def holding_data(settings: Settings) -> Found:
    """The modes that have left something which `make clean` would remove."""
    return _where(settings, local.holds_data, lambda: compose.running() or compose.volumes())


def _where(
    settings: Settings, in_local: Callable[[], object], in_compose: Callable[[], object]
) -> Found:
    found = ["local"] if settings.mode != "compose" and in_local() else []
    if settings.mode == "local":
        return Found(found, "")
    docker = engine.find()
    if docker.problem:
        unasked = f"Docker Compose could not be asked: {docker.found}: {docker.problem}"
        return Found(found, unasked if docker.installed or settings.mode == "compose" else "")
    return Found([*found, "compose"] if in_compose() else found, "")
