"""What a way to run the stack has to offer. Each is a module of this folder: compose, local."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from host.docker.project import Port, Server
from host.user.options import Options
from host.user.settings import Settings


class Mode(Protocol):
    """NAME: as in STACK_MODE. MEMORY, DISK: GiB that the stack and one training run need at least.
    OVERLAYS: it can have them. LOWEST_PORT: that a service may listen on."""

    NAME: str
    MEMORY: float
    DISK: float
    OVERLAYS: bool
    LOWEST_PORT: int

    def up(self, settings: Settings, options: Options) -> Settings:
        """Start what does not run, until all is ready; the settings as it has them."""

    def down(self) -> None:
        """Stop all of it, also what overlays left that are off by now."""

    def clean(self) -> None:
        """Remove all of it with its data; raises CommandError, naming what stays."""

    def gc(self, settings: Settings, *arguments: str) -> int:
        """Run the tracking server's own `gc` at the user's terminal; its status."""

    def running(self) -> bool:
        """Whether this checkout's stack runs."""

    def left_behind(self) -> bool:
        """Whether something runs that is to be stopped, though the stack does not."""

    def holds(self) -> list[str]:
        """What `clean` would remove, for the user to read."""

    def built(self) -> bool:
        """Whether all is there that a first start makes or downloads."""

    def disk(self) -> tuple[Path, str]:
        """The folder that grows, and how to put it on another disk."""

    def other_checkouts(self) -> list[str]:
        """Folders of other checkouts whose stack would be taken for this one."""

    def servers(self) -> list[Server]:
        """Servers of the team's own, which it is set to use."""

    def further_ports(self) -> list[Port]:
        """Ports that it asks for besides tracking's and serving's."""

    def why_no_backup(self, command: str) -> str:
        """Why `make COMMAND` cannot work on its data, with the way out, or "" if it can."""
