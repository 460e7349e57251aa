"""What the one-shot `secrets` runs: `stack_secrets [keep | rotate [NAME...] | show NAME]`.

`make backup` and `make restore` run deliver, collect, record, may-adopt and adopt.
"""

import fcntl
import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stack_secrets import handover
from stack_secrets.catalogue import EXTERNAL
from stack_secrets.errors import RefusedError
from stack_secrets.keeper import Keeper

USAGE = "usage: docker compose run --rm secrets [rotate [NAME...] | show NAME]"


def main(arguments: list[str], environ: Mapping[str, str], keeper: Keeper) -> int:
    """Returns the exit status; everything said goes to standard output, one line a matter."""
    try:
        refuse_open_port(environ)
        with (keeper.master / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            match arguments:
                case [] | ["keep"]:
                    handover.refuse_unfinished(keeper)
                    said = [keeper.keep()]
                    handover.take_as_it_is(keeper)
                    print(*said)
                case ["rotate", *names]:
                    said = keeper.rotate(names)
                    handover.take_as_it_is(keeper)
                    print("\n".join(said))
                case [name] if name in handover.COMMANDS:
                    print(handover.COMMANDS[name](keeper))
                case ["show", name]:
                    print(keeper.show(name))
                case _:
                    raise RefusedError(USAGE)
    except RefusedError as refused:
        print(f"refused: {refused}")
        return 1
    except OSError as fault:
        print(f"failed: {fault.strerror}: {fault.filename}")
        return 1
    return 0


def refuse_open_port(environ: Mapping[str, str]) -> None:
    """The ports have neither TLS nor logins: other machines get to them only if that is meant."""
    host = environ.get("STACK_HOST") or "127.0.0.1"
    try:
        local = _address(host).is_loopback
    except ValueError:
        raise RefusedError(
            f"STACK_HOST={host} is not an IP address as Compose takes it: "
            "give one of this machine, IPv6 in brackets, e.g. 127.0.0.1 or [::1]"
        ) from None
    if not local and environ.get("STACK_OPEN") != "yes":
        raise RefusedError(
            f"STACK_HOST={host} lets other machines in without a login: "
            "set STACK_OPEN=yes if that is meant, or STACK_HOST=127.0.0.1"
        )


def external(environ: Mapping[str, str]) -> frozenset[str]:
    """The parts that are servers elsewhere, as the overlays of Compose say."""
    return frozenset(
        part for part in EXTERNAL if environ.get(f"STACK_{part.upper()}") == "external"
    )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """What Compose publishes ports on. Raises ValueError."""
    if not host.startswith("["):
        return ipaddress.IPv4Address(host)
    if not host.endswith("]") or "%" in host:
        raise ValueError(host)
    return ipaddress.ip_address(host[1:-1])


if __name__ == "__main__":
    root = Path("/stack")
    keeper = Keeper(
        root / "given",
        root / "master",
        root / "readers",
        root / "volumes",
        external=external(os.environ),
    )
    sys.exit(main(sys.argv[1:], os.environ, keeper))
