"""The stack under Docker Compose: the shipped files, as COMPOSE_FILE says, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import urlsplit

from host.paths import ROOT
from host.settings import Settings
from host.terminal import StackError, run_loudly, run_quietly, say

PROJECT_LABEL = "com.docker.compose.project"
FOLDER_LABEL = "com.docker.compose.project.working_dir"
LOG_LINES = "8"  # of a service that failed
BARE = ["--no-color", "--no-log-prefix"]
PLAIN = ["docker", "compose", "--progress", "plain"]  # what shows progress, line by line


def up() -> None:
    """Build and start what is not there yet; return when all services are healthy."""
    what = "docker compose up (the first time, this downloads and builds images)"
    command = [*PLAIN, "up", "--detach", "--build", "--wait"]
    try:
        run_loudly(command, what, folder=ROOT)
    except StackError as error:
        raise StackError(explain_failure() or str(error)) from None


def down() -> None:
    _check("stopping the containers", "down")


def clean() -> None:
    _check("removing containers and volumes", "--profile", "*", "down", "--volumes")


def run(service: str, *command: str) -> int:
    """Run a command in a new container of a service, at the user's terminal; its status.

    Without a terminal, Compose would leave the command running at Ctrl-C: it is told here.
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    name = f"{project()}-{command[0]}-{os.getpid()}"
    process = subprocess.Popen(
        ["docker", "compose", "--progress", "quiet", "run", "--rm", "--no-deps", "--name", name]
        + ([service, *command] if terminal else ["--no-TTY", service, *command]),
        cwd=ROOT,
        stdin=None if terminal else subprocess.DEVNULL,
        start_new_session=not terminal,
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if not _ask("kill", "--signal", "INT", name):
                process.terminate()


def running() -> bool:
    """Whether containers of this checkout run."""
    return str(ROOT) in _folders()


def other_checkouts() -> list[str]:
    """Folders of other checkouts whose containers have this project's name."""
    return sorted(set(_folders("--all")) - {str(ROOT), ""})


def volumes() -> list[str]:
    """Names of the volumes that this project made."""
    listed = _ask("volume", "ls", "--quiet", "--filter", f"label={PROJECT_LABEL}={project()}")
    return listed.split()


@dataclass(frozen=True)
class Server:
    """The team's own: what it is, for a user to read, and where it answers; host "" for AWS."""

    what: str
    host: str
    port: int


def elsewhere() -> list[Server]:
    """The servers that the stack is set to use in place of its own PostgreSQL and storage."""
    services = _configuration()["services"]
    given = services["tracking"]["environment"]
    found = []
    if "postgres" not in services:
        url = urlsplit(given["TRACKING_BACKEND_STORE"])
        what = f"PostgreSQL at {url.hostname}:{url.port}, database {url.path.strip('/')}"
        found.append(Server(what, url.hostname or "", url.port or 5432))
    if "minio" not in services:
        url = urlsplit(given["TRACKING_S3_ENDPOINT"] or "")
        what = f"{given['TRACKING_ARTIFACT_STORE']} at {url.netloc or 'AWS'}"
        found.append(
            Server(what, url.hostname or "", url.port or (80 if url.scheme == "http" else 443))
        )
    return found


def project() -> str:
    """The name that Compose knows this stack by."""
    return _configuration()["name"]


def services() -> list[str]:
    """Names of all services that `up` would start."""
    return [name for name, one in _configuration()["services"].items() if not one.get("profiles")]


def running_services() -> list[str]:
    return _ask("compose", "ps", "--services", "--status", "running").split()


def port_of(service: str, port: str) -> int:
    """Where a running container's port is reached on this machine; 0 where it is not."""
    _, _, found = _ask("compose", "port", service, port).rpartition(":")
    return int(found) if found.isdigit() else 0


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
    """Those that overlays publish besides tracking's and serving's."""
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


def built() -> bool:
    """Whether every image that `up` would run is there."""
    services = _configuration()["services"].values()
    images = {service["image"] for service in services if not service.get("profiles")}
    return bool(_ask("image", "inspect", "--format", "{{.Id}}", *sorted(images)))


def explain_failure() -> str:
    """Show the last lines of each service that failed; return the last line of the first.

    PostgreSQL that refuses its data starts over and over, and may just be doing so.
    """
    said = _ask("compose", "logs", *BARE, "--tail", "1", "postgres")
    _, refused, why = said.partition("refused: ")  # Compose may begin it with a control sequence
    if refused:
        return f"postgres refused: {why}"
    listed = _ask("compose", "ps", "--all", "--format", "json")
    reason = ""
    for line in listed.splitlines():
        service = json.loads(line)
        exited = service["State"] in ("exited", "dead", "restarting") and service["ExitCode"] != 0
        if not exited and service["Health"] != "unhealthy":
            continue
        say(f"\n  {service['Service']} ({service['Status']}) said last:")
        said = _ask("compose", "logs", *BARE, "--tail", LOG_LINES, service["Service"]).splitlines()
        for line in said:
            say(f"    {line}")
        reason = reason or f"{service['Service']}: {said[-1] if said else service['Status']}"
    return reason


def _check(what: str, *arguments: str) -> None:
    run_quietly(["docker", "compose", *arguments], what, folder=ROOT)


def _ask(*arguments: str) -> str:
    """What docker says, or "" if it refuses."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _folders(*arguments: str) -> list[str]:
    """The folder that each of this project's containers was made in."""
    form = f'{{{{.Label "{FOLDER_LABEL}"}}}}'
    ours = f"label={PROJECT_LABEL}={project()}"
    return _ask("ps", *arguments, "--filter", ours, "--format", form).splitlines()


@cache
def _configuration(*options: str) -> dict:
    """What Compose makes of its files and .env, asked once: that takes a quarter of a second.

    Raises StackError with Compose's own words if the file or .env is not as it should be.
    """
    done = subprocess.run(
        ["docker", "compose", *options, "--profile", "*", "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"docker compose config: {done.stderr.strip()}")
    return json.loads(done.stdout)
