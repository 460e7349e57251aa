"""The way from a confined worker to its version's proxy, and nowhere else.

Landlock knows ports, not addresses: a worker that might connect to the proxy's port could connect
to that port anywhere. So it makes no connection. Each TCP socket that it asks for is made here,
connected to the proxy already, and `connect` does nothing in it (seccomp_unotify(2), Linux 5.14).
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import socket
import struct

_RECEIVE, _ANSWER, _ADD = 0xC0502100, 0xC0182101, 0x40182103
"""ioctls of <linux/seccomp.h>."""
_ASKED = struct.Struct("=QIIiIQ6Q")
"""struct seccomp_notif: id, pid, flags; of the call its number, architecture, place, arguments."""
_GIVEN = struct.Struct("=QIIII")
"""struct seccomp_notif_addfd."""
_REFUSED = struct.Struct("=QqiI")
"""struct seccomp_notif_resp."""
_AND_RETURN = 2

A_SECOND = 300
"""Sockets that one worker is given; it waits for more. Each takes the server's time as well."""


def open_for(proxy: int) -> socket.socket:
    """What a new worker gets, to send where it asks; what it asks for is then given until it ends.
    To be closed by the caller once the worker has it."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, _take, loop, ours, proxy)
    return theirs


def _take(loop: asyncio.AbstractEventLoop, ours: socket.socket, proxy: int) -> None:
    with contextlib.suppress(BlockingIOError):
        descriptors: list[int] = []
        with contextlib.suppress(ConnectionError):
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        loop.remove_reader(ours)
        ours.close()
        for asked in descriptors:
            _Door(loop, asked, proxy).open()


class _Door:
    def __init__(self, loop: asyncio.AbstractEventLoop, asked: int, proxy: int) -> None:
        self._loop = loop
        self._asked = asked
        self._proxy = proxy
        self._left = A_SECOND

    def open(self) -> None:
        self._left = A_SECOND
        self._loop.add_reader(self._asked, self._take)

    def _take(self) -> None:
        if not _give(self._asked, self._proxy):
            self._loop.remove_reader(self._asked)
            os.close(self._asked)
            return
        self._left -= 1
        if self._left == 0:
            self._loop.remove_reader(self._asked)
            self._loop.call_later(1, self.open)


def _give(asked: int, proxy: int) -> bool:
    """One socket; False at the end of the last process that may ask."""
    notice = bytearray(_ASKED.size)
    try:
        fcntl.ioctl(asked, _RECEIVE, notice)
    except OSError as error:
        return error.errno == errno.ENOENT and not _is_over(asked)  # who asked has been interrupted
    number, *_, kind, _, _, _, _ = _ASKED.unpack(notice)
    try:
        with socket.socket() as made:
            made.setblocking(False)  # where too many wait to be accepted, so does its user
            made.connect_ex(("127.0.0.1", proxy))
            made.setblocking(not kind & socket.SOCK_NONBLOCK)
            flags = os.O_CLOEXEC if kind & socket.SOCK_CLOEXEC else 0
            answer = _GIVEN.pack(number, _AND_RETURN, made.fileno(), 0, flags)
            fcntl.ioctl(asked, _ADD, answer)
    except OSError as error:
        with contextlib.suppress(OSError):  # who asked may be gone
            code = error.errno or errno.ECONNREFUSED
            fcntl.ioctl(asked, _ANSWER, _REFUSED.pack(number, 0, -code, 0))
    return True


def _is_over(asked: int) -> bool:
    poll = select.poll()
    poll.register(asked, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
