"""What a user says behind `make COMMAND`, as NAME=value: read once, in one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from host.user.terminal import CommandError

REQUIRED = ("AUDIT", "COMPOSE_TIER")  # which say yes by this word


@dataclass(frozen=True)
class Options:
    """The variables of all commands, in lower case; each command's docstring names its own."""

    yes: bool
    fix: bool
    upgrade: bool
    rotate: bool
    full: bool
    coverage: bool
    audit: bool
    compose_tier: bool
    to: str
    from_: str
    snapshot: str
    over: str
    older: str
    k: str
    tier: str
    t5: str
    args: str


def read(environ: Mapping[str, str]) -> Options:
    """What was said; CommandError names the variable, what was expected and what is there."""
    said: dict[str, Any] = {}
    for field in fields(Options):
        name = field.name.rstrip("_").upper()
        value = environ.get(name, "")
        said[field.name] = _switch(name, value) if field.type == "bool" else value
    return Options(**said)


def folder(name: str, value: str) -> Path:
    """The folder that a variable names; CommandError where it is the home of a user who is not."""
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise CommandError(f"{name}={value}: this machine has no such user") from None


def _switch(name: str, value: str) -> bool:
    on = "required" if name in REQUIRED else "1"
    if value not in ("", "0", on):
        raise CommandError(f"{name}: expected {on}, or 0 or nothing for no, found {value}")
    return value == on
