"""Checks the machine before anything is changed: one line each, with the way out.

`make doctor` shows all; `make demo` and `make up` run them first and show what speaks against it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host import compose, engine, environment, local, modes, ports, settings
from host.paths import ROOT, VENV, shown
from host.settings import Settings
from host.terminal import StackError, say

GIB = 1024**3
# What the stack and one training run need at least, in GiB: {what: {mode: amount}}.
MEMORY = {"local": 1.5, "compose": 2.5}
DISK = {"local": 2.5, "compose": 5.0}
CONNECT_SECONDS = 3
DISK_PREPARED = 0.5  # once environment or images are there


@dataclass(frozen=True)
class Finding:
    """level: ok, note or FAIL. Only FAIL keeps a command from running."""

    level: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<5}{self.subject}: {self.text}"


def main() -> int:
    findings = list(examine())
    for finding in findings:
        say(str(finding))
    return 1 if any(finding.level == "FAIL" for finding in findings) else 0


def check(given: Settings, choice: modes.Choice) -> None:
    """Raise StackError with what keeps the stack from starting in the chosen mode."""
    _refuse([_virtual_environment(), *_machine(choice), *_stack(given, choice)])


def check_machine() -> None:
    """Raise StackError with what keeps this machine from the tests, which run local processes."""
    _refuse([_virtual_environment(), *_machine(modes.Choice("local", "", running=False))])


def _refuse(findings: list[Finding]) -> None:
    failed = [
        f"{finding.subject}: {finding.text}" for finding in findings if finding.level == "FAIL"
    ]
    if failed:
        raise StackError("\nmlflow-stack: ".join(failed))


def examine() -> Iterator[Finding]:
    """All findings, in the order in which a user can act on them."""
    yield Finding("ok", "Python", f"{platform.python_version()} (3.11 or newer)")
    yield _virtual_environment()
    try:
        given = settings.read()
        choice = modes.choose(given)
    except StackError as error:
        yield Finding("FAIL", "settings", str(error))
        return
    yield Finding("ok", "settings", f"STACK_MODE is {given.mode}")
    yield Finding("ok" if choice.mode == "compose" else "note", "mode", choice.reason)
    if given.secure and choice.mode == "compose":
        text = f"{given.tracking_url} and {given.serving_url}, with logins and tokens"
        yield Finding("ok", "team", text)
    yield from _machine(choice)
    yield from _stack(given, choice)


def _virtual_environment() -> Finding:
    try:
        environment.check()
    except StackError as error:
        return Finding("FAIL", "environment", str(error))
    text = shown(VENV) if VENV.exists() else f"{shown(VENV)} is made by the first command"
    return Finding("ok", "environment", text)


def _machine(choice: modes.Choice) -> Iterator[Finding]:
    """Memory and disk. What already runs has what it needs."""
    if not choice.running:
        yield from _memory(choice)
        yield _disk(choice)


def _memory(choice: modes.Choice) -> Iterator[Finding]:
    wanted = MEMORY[choice.mode]
    if (memory := available_memory()) is not None:
        text = f"expected {wanted} GiB free, found {memory / GIB:.1f} GiB"
        enough = memory >= wanted * GIB
        yield (
            Finding("ok", "memory", text)
            if enough
            else Finding("FAIL", "memory", f"{text}: stop other programs, or use a larger machine")
        )


def _disk(choice: modes.Choice) -> Finding:
    folder, way, prepared = ROOT, "move the checkout to another disk", environment.STAMP.exists
    if choice.mode == "compose":
        prepared = compose.built
        if images := engine.folder():
            folder, way = images, "move Docker's data-root to another disk"
    wanted = DISK_PREPARED if prepared() else DISK[choice.mode]
    disk = shutil.disk_usage(folder).free
    text = f"expected {wanted} GiB free in {folder}, found {disk / GIB:.1f} GiB"
    if disk >= wanted * GIB:
        return Finding("ok", "disk", text)
    return Finding("FAIL", "disk", f"{text}: make room, or {way}")


def _stack(given: Settings, choice: modes.Choice) -> Iterator[Finding]:
    if choice.mode == "compose":
        for folder in compose.other_checkouts():
            text = f"found containers of the same name made in {folder}: run make down there"
            yield Finding("FAIL", "project", f"{text}, or set COMPOSE_PROJECT_NAME here")
        yield from _elsewhere()
    held = choice.running or local.left_behind()
    for name, port in (
        ("TRACKING_PORT", given.tracking_port),
        ("SERVING_PORT", given.serving_port),
    ):
        yield _port(name, given.host, port, held, choice.mode)
    if choice.mode == "compose":
        for port in compose.further_ports():
            name = f"{port.service.upper()}_PORT"
            yield _port(name, port.host, port.number, port.held, choice.mode)


def _elsewhere() -> Iterator[Finding]:
    """A note at most: the containers may have another way there than this machine."""
    for server in compose.elsewhere():
        if not server.host:
            continue
        try:
            socket.create_connection((server.host, server.port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            text = f"does not answer from here ({error.strerror or error}): see docs/external.md"
            yield Finding("note", server.what, text)
        else:
            yield Finding("ok", server.what, "answers")


def _port(name: str, host: str, port: int, held: bool, mode: str) -> Finding:
    """`name` is its setting; `held`: what listens there may be this stack."""
    subject = f"port {port}"
    try:
        free = ports.free(host, port)
    except OSError as error:
        return Finding("FAIL", "STACK_HOST", f"{host} cannot be bound to ({error.strerror})")
    if free:
        return Finding("ok", subject, "free")
    if port < 1024 and os.geteuid() != 0 and mode == "local":
        way = f"set {name} to 1024 or more in .env, since lower ones need root"
        return Finding("FAIL", subject, way)
    if held:
        return Finding("ok", subject, "held by this stack")
    holder = ports.holder(port) or "another program"
    way = f"stop it, or set {name} in .env"
    return Finding("FAIL", subject, f"expected it free, found {holder} listening: {way}")


def available_memory() -> int | None:
    """Bytes that a new process could use, container limits included; None where unknown."""
    found = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(dict(line.split(":") for line in lines)["MemAvailable"].split()[0]))
    with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
        limit, used = (
            int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current")
        )
        found.append(max(0, limit - used))
    return min(found, default=None)
