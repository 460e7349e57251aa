"""The stack under Docker Compose: the shipped files, as COMPOSE_FILE says, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from host.docker import client, engine, project
from host.paths import ROOT
from host.user.options import Options
from host.user.settings import Settings
from host.user.terminal import CommandError, say

NAME = "compose"
MEMORY = 2.5
DISK = 5.0
OVERLAYS = True
LOWEST_PORT = 1

running = project.running
built = project.built
other_checkouts = project.other_checkouts
servers = project.servers
further_ports = project.further_ports

REMOVE = ["compose", "--profile", "*", "down", "--remove-orphans"]


def up(settings: Settings, options: Options) -> Settings:  # noqa: ARG001 - as other modes have it
    """Build or pull, and start, what is not there yet; stop what overlays left that are off."""
    what = "docker compose up (the first time, this downloads and builds images)"
    build = ["--build"] if project.builds() else []
    command = [*project.PLAIN, "up", "--detach", *build, "--wait", "--remove-orphans"]
    try:
        client.do(command, what, aloud=True)
    except CommandError as error:
        raise CommandError(project.explain_failure() or str(error)) from None
    return project.published(settings)


def down() -> None:
    """Remove all containers; raises CommandError if some run on."""
    client.do(REMOVE, "stopping the containers")
    if rest := project.containers():
        raise CommandError(f"not all has stopped: these containers run on: {', '.join(rest)}")


def clean() -> None:
    """Remove volumes, too. Compose knows those alone that its files name now: others are found by
    the project's label. Raises CommandError, naming what stays; a network that other containers
    are on holds nothing of the stack's, and is theirs as well."""
    client.do([*REMOVE, "--volumes"], "removing containers and volumes")
    kinds: dict[str, Callable[[], list[str]]] = {
        "container": lambda: project.containers("--all"),
        "volume": project.volumes,
        "network": project.networks,
    }
    for kind, listed in kinds.items():
        if rest := listed():
            complaint = client.ask(kind, "rm", "--force", *rest).complaint
            if rest := listed():
                if kind == "network" and (users := project.on_networks(rest)):
                    say(f"the network {', '.join(rest)} stays: {', '.join(users)} is on it")
                    continue
                raise CommandError(f"not all is gone: {kind} {', '.join(rest)}: {complaint}")


def gc(settings: Settings, *arguments: str) -> int:  # noqa: ARG001 - as other modes have it
    """Run it in a container of its own."""
    return client.converse(f"{project.name()}-gc-{os.getpid()}", "migrate", "gc", *arguments)


def left_behind() -> bool:
    """Whether containers run that this checkout did not start: another's are not to be stopped."""
    return False


def holds() -> list[str]:
    """The containers' part is told by their volumes."""
    if not project.running() and not project.volumes():
        return []
    return [f"volumes {' '.join(project.volumes()) or '(none)'}"]


def disk() -> tuple[Path, str]:
    """Where images and volumes are, if that is on this machine."""
    if folder := engine.folder():
        return folder, "move Docker's data-root to another disk"
    return ROOT, "move the checkout to another disk"


def why_no_backup(command: str) -> str:
    """Servers elsewhere are backed up there."""
    if not (others := project.servers()):
        return ""
    names = " and ".join(server.what for server in others)
    return f"make {command} knows the stack's own servers alone, not {names}: see docs/external.md"
