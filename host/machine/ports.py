"""Who listens on a port."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path


def free(host: str, port: int) -> bool:
    """Whether a service could listen there. Raises OSError if `host` is no address of ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    # Some systems let two sockets share a port if one of them listens on all addresses.
    with socket.socket(family) as client:
        client.settimeout(1)
        return client.connect_ex((host, port)) != 0


def holder(port: int) -> str:
    """ "NAME (pid N)" of the process that listens on `port`, or "" where that cannot be seen."""
    inodes = _listening(port)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        name = (process / "comm").read_text().strip()
                        return f"{name} (pid {process.name})"
    return ""


def _listening(port: int) -> set[str]:
    """Links of the sockets that listen on `port`, as /proc/PID/fd shows them."""
    links = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    links.add(f"socket:[{fields[9]}]")
    return links
