"""The Docker engine of this machine, as far as a client can tell without changing anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ENGINE_MINIMUM = (25, 0)  # the first that knows start_interval in health checks
COMPOSE_MINIMUM = (2, 24, 4)  # the first that knows !override, which overlays have
PATIENCE = 20  # seconds until an engine that says nothing counts as silent


@dataclass(frozen=True)
class Engine:
    """answers: an engine is there. problem: why it cannot be used, with the way out, or "".
    installed: there is a client, so that there may have been an engine."""

    answers: bool
    found: str
    problem: str = ""
    installed: bool = True


def find() -> Engine:
    if not shutil.which("docker"):
        way = "install Docker Engine and its Compose plugin"
        return Engine(False, "no docker command", way, installed=False)
    status, version = _ask("docker", "version", "--format", "{{.Server.Version}}")
    if status != 0:
        if "permission denied" in version.lower():
            way = "add yourself to the group docker (sudo usermod -aG docker $USER), log in anew"
            return Engine(False, "permission denied by the Docker engine", way)
        return Engine(False, f"no Docker engine answers ({version})", "start it")
    if _numbers(version) < ENGINE_MINIMUM:
        return Engine(True, f"Docker engine {version}", "upgrade Docker Engine")
    status, compose = _ask("docker", "compose", "version", "--short")
    if status != 0:
        way = "install the package docker-compose-plugin (Debian: docker-compose)"
        return Engine(True, f"Docker engine {version} without Compose", way)
    found = f"Docker engine {version}, Compose {compose}"
    if _numbers(compose) < COMPOSE_MINIMUM:
        return Engine(True, found, "upgrade Docker Compose")
    return Engine(True, found)


def folder() -> Path | None:
    """Where the engine keeps images and volumes, if that is on this machine."""
    status, found = _ask("docker", "info", "--format", "{{.DockerRootDir}}")
    place = Path(found)
    return place if status == 0 and place.is_absolute() and place.exists() else None


def expected() -> str:
    engine, compose = (".".join(map(str, m)) for m in (ENGINE_MINIMUM, COMPOSE_MINIMUM))
    return f"Docker engine {engine} or newer with Compose {compose} or newer"


def _ask(*command: str) -> tuple[int, str]:
    """Status and last line of what `command` says."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {PATIENCE} s"
    except OSError as error:
        return 1, str(error)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode, lines[-1].strip() if lines else ""


def _numbers(version: str) -> tuple[int, ...]:
    """(26, 1, 5) of "26.1.5+dfsg1" or "v26.1.5"; (0,) of what is no version."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(map(int, match.groups("0"))) if match else (0,)
