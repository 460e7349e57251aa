"""What a child is to do, and the words between the HTTP process and the parent of all children."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # another interpreter imports this module, too, and only those that fork need it
    from model_server.confinement.rules import Rules


@dataclass(frozen=True)
class Task:
    """`main(socket, *arguments)` of a module, which only the child imports."""

    module: str
    arguments: tuple[object, ...]
    python: str | None = None
    """The interpreter that runs it; None: the one that all are forked from."""
    paths: tuple[str, ...] = ()
    """That another interpreter gets in front of its own."""
    variables: dict[str, str] = field(default_factory=dict)
    """Of the environment, beside those that all children have."""
    rules: "Rules | None" = None
    """What it may reach; None: everything that the server may."""


class Start(msgspec.Struct, tag=True, frozen=True):
    ticket: int
    """By which the HTTP process knows the child."""
    name: str
    task: bytes
    """Pickled: the Task."""


class End(msgspec.Struct, tag=True, frozen=True):
    """Kill a child, with everything that it started."""

    ticket: int


class Started(msgspec.Struct, tag=True, frozen=True):
    ticket: int
    pid: int


class Refused(msgspec.Struct, tag=True, frozen=True):
    ticket: int
    errno: int


class Ended(msgspec.Struct, tag=True, frozen=True):
    ticket: int
    code: int
    """The exit status, negative for a signal."""


ORDERS = msgspec.msgpack.Decoder(Start | End)
NOTICES = msgspec.msgpack.Decoder(Started | Refused | Ended)
