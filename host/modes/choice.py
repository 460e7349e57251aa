"""Which of the two ways to run the stack it is: Docker Compose, or processes of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from host.docker import engine
from host.modes import compose, local
from host.modes.mode import Mode
from host.user import settings
from host.user.settings import Settings
from host.user.terminal import CommandError

LOCAL_INSTEAD = "or run without Docker: STACK_MODE=local"


@dataclass(frozen=True)
class Choice:
    """reason: one line for the user. running: the stack runs already, in this mode."""

    mode: Mode
    reason: str
    running: bool


def choose(stack: Settings) -> Choice:
    """What runs already, else Compose where an engine answers, else local processes.

    Raises CommandError if Compose is asked for, or an engine answers, that cannot be used.
    """
    if stack.mode == local.NAME:
        return Choice(local, "local processes, as STACK_MODE says", local.running())
    if stack.mode == "auto" and local.running():
        return Choice(local, "local processes, which run already", True)
    docker = engine.find()
    if docker.problem and (docker.answers or stack.mode == compose.NAME):
        way = f"{docker.problem}, {LOCAL_INSTEAD}"
        raise CommandError(f"Docker: expected {engine.expected()}, found {docker.version}: {way}")
    if docker.problem:
        reason = f"local processes, since: {docker.version} (for Docker: {docker.problem})"
        return Choice(local, reason, False)
    return Choice(compose, f"Docker Compose ({docker.version})", compose.running())


@dataclass(frozen=True)
class Selection:
    """modes: those it is true of. unasked: why Compose could not be asked, with the way out, or
    "" if it was asked or is not there."""

    modes: list[Mode]
    unasked: str


def running(stack: Settings) -> Selection:
    """The modes in which this checkout's stack runs."""
    return _select(stack, lambda mode: mode.running() or mode.left_behind())


def holding_data(stack: Settings) -> Selection:
    """The modes that have left something which `make clean` would remove."""
    return _select(stack, lambda mode: bool(mode.holds()))


def _select(stack: Settings, has: Callable[[Mode], bool]) -> Selection:
    modes: list[Mode] = [local] if stack.mode != compose.NAME and has(local) else []
    if stack.mode == local.NAME:
        return Selection(modes, "")
    docker = engine.find()
    if docker.problem:
        unasked = f"Docker Compose could not be asked: {docker.version}: {docker.problem}"
        told = docker.installed or stack.mode == compose.NAME
        return Selection(modes, unasked if told else "")
    return Selection([*modes, compose] if has(compose) else modes, "")


def need_backups(command: str) -> None:
    """Refuse, by a CommandError, where the data is not what `make backup` backs up."""
    if why := choose(settings.read()).mode.why_no_backup(command):
        raise CommandError(why)
