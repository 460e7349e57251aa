"""What a user says behind `make COMMAND`, as NAME=value: read once, in one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from host.user.terminal import CommandError


@dataclass(frozen=True)
class Options:
    """The variables of all commands; each command's docstring names those that it takes."""

    yes: bool = False
    fix: bool = False
    upgrade: bool = False
    rotate: bool = False
    full: bool = False
    audit_required: bool = False
    compose_required: bool = False
    to: str = ""
    origin: str = ""
    """FROM."""
    snapshot: str = ""
    over: str = ""
    older: str = ""
    selection: str = ""
    """K."""
    tier: str = ""
    t5: str = ""
    arguments: str = ""
    """ARGS."""


def read(environ: Mapping[str, str]) -> Options:
    """Raises CommandError, which names the variable, what was expected and what is there."""
    return Options(
        yes=_switch(environ, "YES"),
        fix=_switch(environ, "FIX"),
        upgrade=_switch(environ, "UPGRADE"),
        rotate=_switch(environ, "ROTATE"),
        full=_switch(environ, "FULL"),
        audit_required=_switch(environ, "AUDIT", on="required"),
        compose_required=_switch(environ, "COMPOSE_TIER", on="required"),
        to=environ.get("TO", ""),
        origin=environ.get("FROM", ""),
        snapshot=environ.get("SNAPSHOT", ""),
        over=environ.get("OVER", ""),
        older=environ.get("OLDER", ""),
        selection=environ.get("K", ""),
        tier=environ.get("TIER", ""),
        t5=environ.get("T5", ""),
        arguments=environ.get("ARGS", ""),
    )


def _switch(environ: Mapping[str, str], name: str, on: str = "1") -> bool:
    value = environ.get(name, "")
    if value not in ("", "0", on):
        raise CommandError(f"{name}: expected {on}, or 0 or nothing for no, found {value}")
    return value == on
