"""Ports for servers on 127.0.0.1."""

import contextlib
import os
import random
import socket
from collections.abc import Iterator


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing uses, and that no other test will be given.

    Below those that systems give to connections going out, of which tests make thousands before
    a server takes its port.
    """
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port is left")


def _of_this_process() -> Iterator[int]:
    """Ports in a random order; tests that run in parallel have others each."""
    first, end = map(int, os.environ.get("TEST_PORTS", "16000-20000").split("-"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(first + worker, end, workers)
    return iter(random.sample(ports, len(ports)))


_ports = _of_this_process()
