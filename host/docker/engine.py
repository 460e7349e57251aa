"""The Docker engine of this machine, as far as a client can tell without changing anything."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from host.docker import client

ENGINE_MINIMUM = (25, 0)  # the first that knows start_interval in health checks
COMPOSE_MINIMUM = (2, 24, 4)  # the first that knows !override, which overlays have
PATIENCE = 20  # seconds until an engine that says nothing counts as silent


@dataclass(frozen=True)
class Engine:
    """answers: there is an engine. version: what there is. problem: why it cannot be used, with the
    way out, or "". installed: there is a client, so that there may have been an engine."""

    answers: bool
    version: str
    problem: str = ""
    installed: bool = True


def find() -> Engine:
    """Ask the client, the engine and Compose for their versions."""
    if not shutil.which("docker"):
        way = "install Docker Engine and its Compose plugin"
        return Engine(False, "no docker command", way, installed=False)
    status, version = _ask("version", "--format", "{{.Server.Version}}")
    if status != 0:
        if "permission denied" in version.lower():
            way = "add yourself to the group docker (sudo usermod -aG docker $USER), log in anew"
            return Engine(False, "permission denied by the Docker engine", way)
        return Engine(False, f"no Docker engine answers ({version})", "start it")
    if _numbers(version) < ENGINE_MINIMUM:
        return Engine(True, f"Docker engine {version}", "upgrade Docker Engine")
    status, compose = _ask("compose", "version", "--short")
    if status != 0:
        way = "install the package docker-compose-plugin (Debian: docker-compose)"
        return Engine(True, f"Docker engine {version} without Compose", way)
    versions = f"Docker engine {version}, Compose {compose}"
    if _numbers(compose) < COMPOSE_MINIMUM:
        return Engine(True, versions, "upgrade Docker Compose")
    return Engine(True, versions)


def folder() -> Path | None:
    """Where the engine keeps images and volumes, if that is on this machine."""
    status, said = _ask("info", "--format", "{{.DockerRootDir}}")
    place = Path(said)
    return place if status == 0 and place.is_absolute() and place.exists() else None


def expected() -> str:
    """The versions that are needed, for the user to read."""
    engine, compose = (".".join(map(str, m)) for m in (ENGINE_MINIMUM, COMPOSE_MINIMUM))
    return f"Docker engine {engine} or newer with Compose {compose} or newer"


def _ask(*arguments: str) -> tuple[int, str]:
    """Status and last line of what docker says."""
    answer = client.ask(*arguments, patience=PATIENCE)
    line = answer.said.rpartition("\n")[2].strip() if answer.status == 0 else answer.complaint
    return answer.status, line


def _numbers(version: str) -> tuple[int, ...]:
    """(26, 1, 5) of "26.1.5+dfsg1" or "v26.1.5"; (0,) of what is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(map(int, match.groups("0"))) if match else (0,)
