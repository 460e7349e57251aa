"""Which of the two ways to run the stack it is: Docker Compose, or processes of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from stack import compose, engine, local
from stack.settings import Settings
from stack.terminal import StackError

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
        reason = f"local processes, since there is {found.found} (for Docker: {found.problem})"
        return Choice("local", reason, False)
    return Choice("compose", f"Docker Compose ({found.found})", compose.running())


def running(settings: Settings) -> list[str]:
    """The modes in which this checkout's stack runs."""
    found = []
    if settings.mode != "compose" and (local.running() or local.left_behind()):
        found.append("local")
    if settings.mode != "local" and _compose_usable() and compose.running():
        found.append("compose")
    return found


def holding_data(settings: Settings) -> list[str]:
    """The modes that have left something which `make clean` would remove."""
    found = []
    if settings.mode != "compose" and local.holds_data():
        found.append("local")
    if settings.mode != "local" and _compose_usable() and (compose.running() or compose.volumes()):
        found.append("compose")
    return found


def _compose_usable() -> bool:
    return not engine.find().problem
