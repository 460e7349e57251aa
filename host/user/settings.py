"""What the user has set, in .env or as variables of the same names, which win as with Compose."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass

from host.paths import ROOT
from host.user import dotenv
from host.user.terminal import CommandError

MODES = ("auto", "compose", "local")
MAIN, TEAM, MONITORING = "docker-compose.yml", "compose.team.yml", "compose.monitoring.yml"
# By which Compose reads other files than .env, or none.
ELSEWHERE = ("COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE")


@dataclass(frozen=True)
class Settings:
    """host: address that the services bind to. services: TRACKING_* and SERVING_* as given: an
    empty one means the service's own default.
    secure: the team overlay is on, with TLS, logins and tokens; domain: its public name, or "".
    watched: the monitoring overlay is on."""

    mode: str
    host: str
    names: str
    tracking_port: int
    serving_port: int
    services: Mapping[str, str]
    domain: str = ""
    secure: bool = False
    watched: bool = False

    @property
    def tracking_url(self) -> str:
        """The address that is published."""
        return f"{self._scheme}://{self._reached}:{self.tracking_port}"

    @property
    def serving_url(self) -> str:
        """The address that is published."""
        return f"{self._scheme}://{self._reached}:{self.serving_port}"

    @property
    def _scheme(self) -> str:
        return "https" if self.secure else "http"

    @property
    def _reached(self) -> str:
        """The name to call this machine's services by."""
        if self.secure and self.domain:
            return self.domain
        address = ipaddress.ip_address(self.host)
        if address == ipaddress.ip_address("127.0.0.1") or address.is_unspecified:
            return "localhost"
        return _written(address)


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in .env and here; CommandError names what was expected, and what is there."""
    variables = {**dotenv.read(ROOT / ".env", environ), **environ}
    tracking_port, serving_port = (
        _port(variables, "TRACKING_PORT", 5000),
        _port(variables, "SERVING_PORT", 8080),
    )
    if tracking_port == serving_port:
        raise CommandError(
            f"SERVING_PORT: expected another port than TRACKING_PORT, found {serving_port} for both"
        )
    mode = _mode(variables)
    if mode != "local":
        _refuse_unknown(environ, variables)
    return Settings(
        mode=mode,
        secure=mode != "local" and _reads(variables, TEAM),
        watched=mode != "local" and _reads(variables, MONITORING),
        domain=variables.get("STACK_DOMAIN", ""),
        host=_host(variables),
        names=variables.get("STACK_NAMES", ""),
        tracking_port=tracking_port,
        serving_port=serving_port,
        services={
            name: value
            for name, value in variables.items()
            if name.startswith(("TRACKING_", "SERVING_"))
        },
    )


def _refuse_unknown(environ: Mapping[str, str], variables: Mapping[str, str]) -> None:
    """Raise CommandError where Compose would make of its files what is not known here."""
    for name in ELSEWHERE:
        if environ.get(name):
            raise CommandError(
                f"{name}: expected nothing, found {environ[name]}: settings are in .env"
            )
    if MAIN in _files(variables)[1:]:
        raise CommandError(
            f"COMPOSE_FILE: expected {MAIN} first, overlays behind it in any order, "
            f"found {variables['COMPOSE_FILE']}"
        )


def _reads(variables: Mapping[str, str], overlay: str) -> bool:
    """Whether Compose does."""
    return overlay in _files(variables)


def _files(variables: Mapping[str, str]) -> list[str]:
    separator = variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    files = variables.get("COMPOSE_FILE", "").split(separator)
    return [file.rpartition("/")[2] for file in files]


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _mode(variables: Mapping[str, str]) -> str:
    mode = variables.get("STACK_MODE") or "auto"
    if mode not in MODES:
        raise CommandError(f"STACK_MODE: expected auto, compose or local, found {mode}")
    return mode


def _port(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise CommandError(f"{name}: expected a port from 1 to 65535, found {text}")
    return int(text)


def _host(variables: Mapping[str, str]) -> str:
    """The address without brackets. Compose takes it with, and no names, so this does too."""
    written = variables.get("STACK_HOST") or "127.0.0.1"
    host = written[1:-1] if written.startswith("[") and written.endswith("]") else written
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or (address.version == 6 and host == written):
        meant = _written(address or ipaddress.ip_address("127.0.0.1"))
        raise CommandError(
            "STACK_HOST: expected an IP address of this machine, IPv6 in brackets, "
            f"found {written}: set STACK_HOST={meant}"
        )
    if (
        not address.is_loopback
        and variables.get("STACK_OPEN") != "yes"
        and not _reads(variables, TEAM)
    ):
        raise CommandError(
            f"STACK_HOST={host} lets other machines in without a login: "
            "set STACK_OPEN=yes if that is meant, or STACK_HOST=127.0.0.1"
        )
    return host
