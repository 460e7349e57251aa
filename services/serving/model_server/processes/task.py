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
    """Folders that another interpreter gets in front of its own."""
    variables: dict[str, str] = field(default_factory=dict)
    """Variables of its environment, beside those that all children have."""
    rules: "Rules | None" = None
    """What it may reach; None: everything that the server may."""


class Start(msgspec.Struct, tag=True, frozen=True):
    """Fork a child."""

    ticket: int
    """What the HTTP process knows the child by."""
    name: str
    task: bytes
    """Pickled: the Task."""


class End(msgspec.Struct, tag=True, frozen=True):
    """Kill a child, with everything that it started."""

    ticket: int


class Started(msgspec.Struct, tag=True, frozen=True):
    """The child runs."""

    ticket: int
    pid: int


class Refused(msgspec.Struct, tag=True, frozen=True):
    """There is no such child: it could not be started."""

    ticket: int
    errno: int


class Ended(msgspec.Struct, tag=True, frozen=True):
    """A child has ended."""

    ticket: int
    code: int
    """The exit status, negative for a signal."""


ORDERS: msgspec.msgpack.Decoder[Start | End] = msgspec.msgpack.Decoder(Start | End)
NOTICES: msgspec.msgpack.Decoder[Started | Refused | Ended] = msgspec.msgpack.Decoder(
    Started | Refused | Ended
)
