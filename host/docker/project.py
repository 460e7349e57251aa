"""The project that Compose makes of the shipped files, as COMPOSE_FILE says: what it has, and what
of it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from host.docker import client
from host.paths import ROOT
from host.user.settings import Settings
from host.user.terminal import say

PROJECT_LABEL = "com.docker.compose.project"
FOLDER_LABEL = "com.docker.compose.project.working_dir"
MADE_LABEL = "com.docker.compose.config-hash"  # that of the project is on images that it built, too
LOG_LINES = "8"  # of a service that failed
BARE = ["--no-color", "--no-log-prefix"]
PLAIN = ["compose", "--progress", "plain"]  # what shows progress, line by line


def running() -> bool:
    """Whether containers of this checkout run."""
    return str(ROOT) in _folders()


def other_checkouts() -> list[str]:
    """Folders of other checkouts whose containers have this project's name."""
    return sorted(set(_folders("--all")) - {str(ROOT), ""})


def volumes() -> list[str]:
    """Names of the volumes that this project made, those of overlays that are off by now, too."""
    return client.need("volume", "ls", "--quiet", "--filter", _label()).split()


def containers(*arguments: str) -> list[str]:
    """Names of those that Compose made for this project and that run, or, by `--all`, exist."""
    made = f"label={MADE_LABEL}"
    form = "{{.Names}}"
    listed = client.need("ps", *arguments, "--filter", _label(), "--filter", made, "--format", form)
    return listed.split()


def networks() -> list[str]:
    """Names of the project's networks."""
    return client.need("network", "ls", "--filter", _label(), "--format", "{{.Name}}").split()


def on_networks(networks: list[str]) -> list[str]:
    """Names of the containers that run on them."""
    form = "{{range .Containers}}{{.Name}} {{end}}"
    return client.said("network", "inspect", "--format", form, *networks).split()


@dataclass(frozen=True)
class Server:
    """The team's own: what it is, for a user to read, and where it answers; host "" for AWS."""

    what: str
    host: str
    port: int


def servers() -> list[Server]:
    """The servers that the stack is set to use in place of its own PostgreSQL and storage."""
    services = _configuration()["services"]
    settings = services["tracking"]["environment"]
    others = []
    if "postgres" not in services:
        url = urlsplit(settings["TRACKING_BACKEND_STORE"])
        what = f"PostgreSQL at {url.hostname}:{url.port}, database {url.path.strip('/')}"
        others.append(Server(what, url.hostname or "", url.port or 5432))
    if "minio" not in services:
        url = urlsplit(settings["TRACKING_S3_ENDPOINT"] or "")
        what = f"{settings['TRACKING_ARTIFACT_STORE']} at {url.netloc or 'AWS'}"
        port = url.port or (80 if url.scheme == "http" else 443)
        others.append(Server(what, url.hostname or "", port))
    return others


def name() -> str:
    """The name that Compose knows this stack by."""
    return str(_configuration()["name"])


def running_services() -> list[str]:
    """Names of the services that run."""
    return client.said("compose", "ps", "--services", "--status", "running").split()


def port_of(service: str, port: str) -> int:
    """Where a running container's port is reached on this machine; 0 where it is not."""
    _, _, number = client.said("compose", "port", service, port).rpartition(":")
    return int(number) if number.isdigit() else 0


def published(settings: Settings) -> Settings:
    """`settings` with the ports that the running containers really have."""
    tracking, serving = ("gateway", "gateway") if settings.secure else ("tracking", "serving")
    return replace(
        settings,
        tracking_port=port_of(tracking, "5000") or settings.tracking_port,
        serving_port=port_of(serving, "8080") or settings.serving_port,
    )


@dataclass(frozen=True)
class Port:
    """A port of this machine that a service asks for. held: it has it already."""

    service: str
    host: str
    number: int
    held: bool


def further_ports() -> list[Port]:
    """Ports that overlays publish besides tracking's and serving's."""
    return [
        Port(
            name,
            port.get("host_ip") or "0.0.0.0",  # noqa: S104
            int(port["published"]),
            port_of(name, str(port["target"])) == int(port["published"]),
        )
        for name, service in _configuration()["services"].items()
        if name not in ("tracking", "serving", "gateway") and not service.get("profiles")
        for port in service.get("ports", [])
        if str(port.get("published", "")).isdigit()
    ]


def base_images() -> list[str]:
    """Images that have to come from a registry, or be there: those run as they are, and those
    that ours are built on. Of the stack itself: an overlay may be on in .env, and not be tested."""
    images, own = set(), set()
    for service in _configuration("--file", "docker-compose.yml")["services"].values():
        build = service.get("build")
        if build is None:
            images.add(service["image"])
            continue
        own.add(service["image"])
        images |= {v for k, v in build.get("args", {}).items() if k.endswith("_IMAGE") and v}
    return sorted(images - own)


def builds() -> bool:
    """Whether `up` is to build, and not to pull images that STACK_PULL says are elsewhere."""
    own = [one for one in _configuration()["services"].values() if "build" in one]
    return all(service.get("pull_policy", "never") in ("never", "build") for service in own)


def built() -> bool:
    """Whether every image that `up` would run is there."""
    services = _configuration()["services"].values()
    images = {service["image"] for service in services if not service.get("profiles")}
    return bool(client.said("image", "inspect", "--format", "{{.Id}}", *sorted(images)))


def explain_failure() -> str:
    """Show the last lines of each service that failed; return the last line of the first.

    PostgreSQL that refuses its data starts over and over, and may just be doing so.
    """
    line = client.said("compose", "logs", *BARE, "--tail", "1", "postgres")
    _, refused, why = line.partition("refused: ")  # Compose may begin it with a control sequence
    if refused:
        return f"postgres refused: {why}"
    listed = client.said("compose", "ps", "--all", "--format", "json")
    reason = ""
    for line in listed.splitlines():
        service = json.loads(line)
        exited = service["State"] in ("exited", "dead", "restarting") and service["ExitCode"] != 0
        if not exited and service["Health"] != "unhealthy":
            continue
        say(f"\n  {service['Service']} ({service['Status']}) said last:")
        logs = client.said("compose", "logs", *BARE, "--tail", LOG_LINES, service["Service"])
        said = logs.splitlines()
        for last in said:
            say(f"    {last}")
        reason = reason or f"{service['Service']}: {said[-1] if said else service['Status']}"
    return reason


def _folders(*arguments: str) -> list[str]:
    """The folder that each of this project's containers was made in."""
    form = f'{{{{.Label "{FOLDER_LABEL}"}}}}'
    return client.said("ps", *arguments, "--filter", _label(), "--format", form).splitlines()


def _label() -> str:
    return f"label={PROJECT_LABEL}={name()}"


@cache
def _configuration(*options: str) -> dict[str, Any]:
    """What Compose makes of its files and .env, asked once: that takes a quarter of a second.

    Raises CommandError with Compose's own words if the file or .env is not as it should be.
    """
    arguments = ["compose", *options, "--profile", "*", "config", "--format", "json"]
    configuration: dict[str, Any] = json.loads(client.need(*arguments))
    return configuration
