"""The parent of all children: a process that has imported what they need, and forks them.

The HTTP process starts it and speaks to it over two sockets that it inherits: neither has a name in
a file system or a network, so that nobody else can. No child keeps either of them.

Down come a `Start`, with two descriptors (the child's socket, and where its output goes), and an
`End`; up go a `Started` or a `Refused` for each `Start`, and an `Ended` for each child.
"""

import contextlib
import importlib
import logging
import multiprocessing
import os
import selectors
import signal
import socket
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from model_server.children import child
from model_server.processes import wire
from model_server.processes.prctl import adopt, conceal
from model_server.processes.task import ORDERS, End, Ended, Refused, Started

log = logging.getLogger(__name__)

PRELOADED = "model_server.children.preload"
RID_WITHIN = 5.0
"""Seconds to end what a child has left behind: it may go on to start others while it is ended."""
_forking = multiprocessing.get_context("fork")


def main(orders: int, told: int) -> None:
    """Fork children until the HTTP process closes the sockets, or ends."""
    conceal()
    adopt()
    importlib.import_module(PRELOADED)
    _Parent(socket.socket(fileno=orders), socket.socket(fileno=told)).run()


class _Parent:
    def __init__(self, orders: socket.socket, told: socket.socket) -> None:
        self._orders = orders
        self._told = told
        self._children: dict[int, BaseProcess] = {}
        """Running ones, by ticket."""
        self._others = _offspring()
        """That are left alone."""

    def run(self) -> None:
        ended, wakes = os.pipe()
        for end in (ended, wakes):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The end of the HTTP process is that of its sockets too, and leaves time to end the others.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._orders, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            with contextlib.suppress(wire.PeerClosedError, ConnectionError):
                while True:
                    for key, _ in selector.select():
                        if key.fileobj is self._orders:
                            self._obey()
                        else:
                            os.read(ended, 4096)
                            self._look()
        for ticket in self._children:
            self._kill(ticket)
        self._children.clear()
        self._end_left()
        os._exit(0)  # nothing here is to be waited for

    def _obey(self) -> None:
        order, descriptors = wire.receive_with(self._orders, ORDERS)
        if isinstance(order, End):
            self._kill(order.ticket)
            return
        new = _forking.Process(target=child.run, args=(order.task, *descriptors), name=order.name)
        try:
            new.start()
        except OSError as error:
            self._tell(Refused(order.ticket, error.errno or 0))
        else:
            self._children[order.ticket] = new
            self._tell(Started(order.ticket, new.pid or 0))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _look(self) -> None:
        """Which children have ended; with each, what it had started, in whatever group that is."""
        for ticket, one in list(self._children.items()):
            code = one.exitcode
            if code is not None:
                _kill_group(one.pid)  # while a process of the group lives, its number is taken
                del self._children[ticket]
                one.close()
                self._end_left()
                self._tell(Ended(ticket, code))
        self._end_left()

    def _end_left(self) -> None:
        """Processes that children had started are this one's when those have ended."""
        until = time.monotonic() + RID_WITHIN
        while left := _offspring() - self._others - {one.pid for one in self._children.values()}:
            if time.monotonic() > until:
                self._others |= left
                log.error("what a child had started does not end", extra={"pids": sorted(left)})
                return
            for pid in left:  # which nobody else waits for, so that their numbers are their own
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _kill(self, ticket: int) -> None:
        one = self._children.get(ticket)
        # Nobody has waited for it, so that its number is its own.
        if one is not None and one.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
            _kill_group(one.pid)

    def _tell(self, notice: Started | Refused | Ended) -> None:
        self._told.sendall(wire.pack(notice))


def _offspring() -> set[int]:
    """Direct children of this process, ended ones that nobody has waited for too. None where the
    kernel does not tell."""
    with contextlib.suppress(OSError):
        numbers = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return set(map(int, numbers.split()))
    return set()


def _kill_group(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
