"""Checks the machine before anything is changed: one line each, with the way out.

`make doctor` shows all; `make demo` and `make up` run them first and show what speaks against it.
"""

from __future__ import annotations

import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from host.machine import memory, ports
from host.modes import choice, local
from host.modes.choice import Choice
from host.modes.mode import Mode
from host.paths import VENV, shown
from host.python import environment
from host.user import settings
from host.user.settings import Settings
from host.user.terminal import CommandError

GIB = 1024**3
AIRPLAY = (5000, 7000)  # ports of the receiver that macOS has on by default
CONNECT_SECONDS = 3
DISK_PREPARED = 0.5  # once environment or images are there


@dataclass(frozen=True)
class Result:
    """level: ok, note or FAIL. Only FAIL keeps a command from running."""

    level: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<5}{self.subject}: {self.text}"


def check(stack: Settings, chosen: Choice) -> None:
    """Raise CommandError with what keeps the stack from starting in the chosen mode."""
    _refuse([_virtual_environment(), *_machine(chosen), *_stack(stack, chosen)])


def check_machine() -> None:
    """Raise CommandError with what keeps this machine from the tests, which run local processes."""
    _refuse([_virtual_environment(), *_machine(Choice(local, "", running=False))])


def _refuse(results: list[Result]) -> None:
    failed = [f"{result.subject}: {result.text}" for result in results if result.level == "FAIL"]
    if failed:
        raise CommandError("\nmlflow-stack: ".join(failed))


def examine() -> Iterator[Result]:
    """All results, in the order in which a user can act on them."""
    yield Result("ok", "Python", f"{platform.python_version()} (3.11 or newer)")
    yield _virtual_environment()
    try:
        stack = settings.read()
        chosen = choice.choose(stack)
    except CommandError as error:
        yield Result("FAIL", "settings", str(error))
        return
    yield Result("ok", "settings", f"STACK_MODE is {stack.mode}")
    yield Result("ok" if chosen.mode.OVERLAYS else "note", "mode", chosen.reason)
    if stack.secure and chosen.mode.OVERLAYS:
        text = f"{stack.tracking_url} and {stack.serving_url}, with logins and tokens"
        yield Result("ok", "team", text)
    yield from _machine(chosen)
    yield from _stack(stack, chosen)


def _virtual_environment() -> Result:
    try:
        environment.check()
    except CommandError as error:
        return Result("FAIL", "environment", str(error))
    text = shown(VENV) if VENV.exists() else f"{shown(VENV)} is made by the first command"
    return Result("ok", "environment", text)


def _machine(chosen: Choice) -> Iterator[Result]:
    """Memory and disk. What already runs has what it needs."""
    if not chosen.running:
        yield from _memory(chosen.mode.MEMORY)
        yield _disk(chosen.mode)


def _memory(wanted: float) -> Iterator[Result]:
    if (available := memory.available()) is None:
        return
    text = f"expected {wanted} GiB free, found {available / GIB:.1f} GiB"
    if available >= wanted * GIB:
        yield Result("ok", "memory", text)
    else:
        yield Result("FAIL", "memory", f"{text}: stop other programs, or use a larger machine")


def _disk(mode: Mode) -> Result:
    wanted = DISK_PREPARED if mode.built() else mode.DISK
    folder, way = mode.disk()
    free = shutil.disk_usage(folder).free
    text = f"expected {wanted} GiB free in {folder}, found {free / GIB:.1f} GiB"
    if free >= wanted * GIB:
        return Result("ok", "disk", text)
    return Result("FAIL", "disk", f"{text}: make room, or {way}")


def _stack(stack: Settings, chosen: Choice) -> Iterator[Result]:
    for folder in chosen.mode.other_checkouts():
        text = f"found containers of the same name made in {folder}: run make down there"
        yield Result("FAIL", "project", f"{text}, or set COMPOSE_PROJECT_NAME here")
    yield from _servers(chosen.mode)
    held = chosen.running or chosen.mode.left_behind()
    lowest = chosen.mode.LOWEST_PORT
    yield _port("TRACKING_PORT", stack.host, stack.tracking_port, held, lowest)
    yield _port("SERVING_PORT", stack.host, stack.serving_port, held, lowest)
    for port in chosen.mode.further_ports():
        yield _port(f"{port.service.upper()}_PORT", port.host, port.number, port.held, lowest)


def _servers(mode: Mode) -> Iterator[Result]:
    """A note at most: the containers may have another way there than this machine."""
    for server in mode.servers():
        if not server.host:
            continue
        try:
            socket.create_connection((server.host, server.port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            text = f"does not answer from here ({error.strerror or error}): see docs/external.md"
            yield Result("note", server.what, text)
        else:
            yield Result("ok", server.what, "answers")


def _port(name: str, host: str, port: int, held: bool, lowest: int) -> Result:
    """`name` is its setting; held: what listens there may be this stack."""
    subject = f"port {port}"
    try:
        free = ports.free(host, port)
    except OSError as error:
        return Result("FAIL", "STACK_HOST", f"{host} cannot be bound to ({error.strerror})")
    if free:
        return Result("ok", subject, "free")
    if port < lowest:
        way = f"set {name} to {lowest} or more in .env, since lower ones need root"
        return Result("FAIL", subject, way)
    if held:
        return Result("ok", subject, "held by this stack")
    holder = ports.holder(port) or "another program"
    way = f"stop it, or set {name} in .env"
    if sys.platform == "darwin" and port in AIRPLAY:
        holder = "what may be macOS's AirPlay receiver"
        way = f"switch it off (System Settings, AirDrop & Handoff), or set {name} in .env"
    return Result("FAIL", subject, f"expected it free, found {holder} listening: {way}")
