"""Ports are free or taken, and the holder is named where the system shows it."""

import os
import socket
from pathlib import Path

import pytest

from harness.ports import free_port
from host.machine import ports


@pytest.fixture
def listener():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_free_port_is_free():
    assert ports.free("127.0.0.1", free_port())


def test_port_that_was_just_left_is_free():
    port = free_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    assert ports.free("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_port_with_a_listener_is_taken(listener, host):
    assert not ports.free(host, listener)


def test_address_of_another_machine_is_an_error():
    with pytest.raises(OSError, match="assign"):
        ports.free("192.0.2.1", free_port())


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc")
def test_holder_is_named(listener):
    assert ports.holder(listener).endswith(f"(pid {os.getpid()})")
    assert ports.holder(free_port()) == ""
