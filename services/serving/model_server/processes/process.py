"""Child processes: forked from one prepared parent, tied to this one, spoken to over a socket."""

import asyncio
import contextlib
import itertools
import logging
import multiprocessing.util
import os
import pickle
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import BinaryIO

import uvloop

from model_server.confinement.quarters import Quarters
from model_server.network import door
from model_server.processes import wire
from model_server.processes.output import Output
from model_server.processes.task import NOTICES, End, Ended, Refused, Start, Started, Task

log = logging.getLogger(__name__)

_CREDENTIALS = (
    "MLFLOW_TRACKING_",
    "MLFLOW_REGISTRY_",
    "MLFLOW_S3_",
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "DATABRICKS_",
    "UV_",  # package indexes, which may have a login
    "PIP_",
)
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ARROW_NUM_THREADS",
    "ORT_INTRA_OP_NUM_THREADS",  # unless the model's own session options say otherwise
    "LOKY_MAX_CPU_COUNT",  # joblib's: what n_jobs=-1 of an estimator comes to
)
STALLED = 5.0
"""Seconds in which an order must be taken, else its taker is as good as gone."""
_PARENT = "import sys; sys.path[:] = {}; from model_server.children.parent import main; main{}"


def prepare(threads: int, passed: Collection[str] = ()) -> dict[str, str]:
    """Get ready; to be called once, before the first child. Returns the credentials of the
    environment, which no child inherits, but for the variables that are `passed` on.

    One BLAS thread a worker by default: a row or a hundred gain nothing from more, and workers
    beside each other lose. It also keeps the process that is forked free of threads.
    """
    for name in _THREADS:
        os.environ.setdefault(name, str(threads))
    # Arrow's own allocators take megabytes a process, and a thread.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else its import also starts a thread
    credentials = {name: text for name, text in os.environ.items() if name.startswith(_CREDENTIALS)}
    for name in credentials.keys() - set(passed):
        del os.environ[name]
    return credentials


class Child:
    """A running child and the socket to it. Made by `spawn`, the one way to start a process."""

    def __init__(
        self,
        parent: "_Parent",
        ticket: int,
        channel: wire.Channel,
        leave: Callable[[], None] | None = None,
    ) -> None:
        """leave: called in a thread when it has ended."""
        self._parent = parent
        self._ticket = ticket
        self._leave = leave
        self._leaving: asyncio.Future[None] | None = None
        self.channel = channel
        self.pid = 0
        """Its number; 0 until it has begun."""
        self._code = 0
        """Its exit status, once it is gone."""
        self._gone = asyncio.Event()
        self._when_gone: Callable[[], None] | None = None

    def ended(self, code: int) -> None:
        """Its parent has seen its end, with this exit status."""
        self._code = code
        self._gone.set()
        if self._leave:
            self._leaving = asyncio.get_running_loop().run_in_executor(None, self._leave)
        if self._when_gone:
            self._when_gone()

    def when_gone(self, call: Callable[[], None]) -> None:
        """Call this when it has ended."""
        self._when_gone = call

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._gone.is_set()

    def kill(self) -> None:
        """End it at once, with everything that it started."""
        if not self.is_gone:
            self._parent.end(self._ticket)

    async def end(self, grace: float = 0) -> int:
        """Close the socket, which a child takes as its end, and kill it after `grace` seconds.
        Returns the exit code, negative for a signal."""
        self.channel.close()
        self._parent.listen()
        try:
            async with asyncio.timeout(grace):
                await self._gone.wait()
        except TimeoutError:
            self.kill()
            await self._gone.wait()
        if self._leaving:
            await asyncio.wait([self._leaving])
        return self._code


class _Parent:
    """The process that children are forked from, whose program is children/parent.py."""

    def __init__(self) -> None:
        """Start it. It does not outlive the thread that does this. Raises OSError."""
        self._orders, orders = socket.socketpair()
        self._notices, notices = socket.socketpair()
        with orders, notices:
            held = (orders.fileno(), notices.fileno())
            # Private, and so not in typeshed.
            flags = multiprocessing.util._args_from_interpreter_flags()  # type: ignore[attr-defined]
            program = _PARENT.format(sys.path, held)
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-c", program], stdin=subprocess.DEVNULL, pass_fds=held
            )
        self._orders.settimeout(STALLED)
        self._notices.setblocking(False)
        self._read = wire.Channel()
        self._read.deliver = self._on_notice
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tickets = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._starting: dict[int, asyncio.Future[None]] = {}
        self.is_gone = False

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(
        self,
        channel: wire.Channel,
        task: Task,
        name: str,
        descriptors: list[int],
        leave: Callable[[], None] | None,
    ) -> Child:
        """Ask for a child, and wait until it is there. Raises OSError."""
        self.listen()
        ticket = next(self._tickets)
        child = self._children[ticket] = Child(self, ticket, channel, leave)
        started = self._starting[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._send(Start(ticket, name, pickle.dumps(task)), descriptors)
            await started
        except asyncio.CancelledError:
            self.end(ticket)  # which may have begun meanwhile, and has left when it has ended
            raise
        except BaseException:
            self._children.pop(ticket, None)
            self.end(ticket)
            if leave:
                await asyncio.to_thread(leave)
            raise
        finally:
            del self._starting[ticket]
        return child

    def end(self, ticket: int) -> None:
        """Kill a child, and what it started."""
        with contextlib.suppress(OSError):
            self._send(End(ticket))

    def listen(self) -> None:
        """Read notices in the loop that runs."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop and not self.is_gone:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._notices)
            self._loop = loop
            loop.add_reader(self._notices, self._on_readable)

    def _send(self, order: Start | End, descriptors: list[int] | None = None) -> None:
        if self.is_gone:
            raise ConnectionResetError("the process that starts others has ended")
        try:
            # Without waiting: an order is small, and obeyed in milliseconds.
            wire.send_with(self._orders, order, descriptors or [])
        except OSError:
            self._lose()
            raise

    def _on_readable(self) -> None:
        try:
            data = self._notices.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._read.data_received(data)
        else:
            self._lose()

    def _on_notice(self, payload: bytes) -> None:
        notice = NOTICES.decode(payload)
        child = self._children.get(notice.ticket)
        started = self._starting.get(notice.ticket)
        if isinstance(notice, Ended):
            if child:
                del self._children[notice.ticket]
                child.ended(notice.code)
        elif started is None or started.done():  # nobody waits for it any more
            if child and isinstance(notice, Refused):
                del self._children[notice.ticket]
                child.ended(-signal.SIGKILL)
        elif isinstance(notice, Started):
            if child:
                child.pid = notice.pid
            started.set_result(None)
        else:
            started.set_exception(OSError(notice.errno, os.strerror(notice.errno)))

    def _lose(self) -> None:
        """It has ended, and all children with it."""
        if self.is_gone:
            return
        self.is_gone = True
        log.error("the process that starts others has ended")
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._notices)
        self._orders.close()
        self._notices.close()
        self._process.kill()
        self._process.wait()
        for started in self._starting.values():
            if not started.done():
                started.set_exception(ConnectionResetError("what starts processes has ended"))
        children, self._children = self._children, {}
        for child in children.values():
            child.ended(-signal.SIGKILL)


_parent: _Parent | None = None


def _ready() -> _Parent:
    """The parent, started anew if it has ended. Raises OSError."""
    global _parent
    if _parent is None or _parent.is_gone:
        _parent = _Parent()
    return _parent


def parent_pid() -> int:
    """The pid of the process that children are forked from. Raises OSError."""
    return _ready().pid


def prepare_ahead() -> None:
    """Start the process that children are forked from, after `prepare`, without waiting for it:
    its imports take seconds, which the first version to be loaded would otherwise pay."""
    try:
        _ready()
    except OSError:  # the first child's start will try again, and say what is wrong
        log.warning("preparing for children failed", exc_info=True)


async def spawn(
    module: str,
    *arguments: object,
    name: str,
    python: str | None = None,
    about: Mapping[str, object] | None = None,
    quarters: Quarters | None = None,
) -> Child:
    """Run `main(socket, *arguments)` of a module, which only the child imports: forked, or by
    another interpreter. `about` stands in the log with what it writes. In `quarters` it is
    confined; they are left when it has ended. Raises OSError."""
    paths = _users_paths() if python else ()
    variables, rules = (quarters.variables, quarters.rules) if quarters else ({}, None)
    task = Task(module, arguments, python, paths, variables, rules)
    leave = quarters.leave if quarters else None
    channel = None
    is_asked = False
    try:
        channel, theirs = await _socket()
        with theirs, await _output(name, about or {}) as output, contextlib.ExitStack() as open_:
            descriptors = [theirs.fileno(), output.fileno()]
            proxy = quarters.way_out.proxy if quarters else None
            if rules and rules.network == "proxy" and proxy is not None:
                theirs_too = open_.enter_context(door.open_for(proxy))
                descriptors.append(theirs_too.fileno())
            ready = _ready()
            is_asked = True
            return await ready.start(channel, task, name, descriptors, leave)
    except BaseException:
        if channel:
            channel.close()
        if leave and not is_asked:
            await asyncio.to_thread(leave)
        raise


async def _socket() -> tuple[wire.Channel, socket.socket]:
    """Ours, and the child's end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(wire.Channel, sock=ours)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return channel, theirs


async def _output(name: str, about: Mapping[str, object]) -> BinaryIO:
    """Where a child is to write: each line gets into the log."""
    one, other = os.pipe()
    reads, writes = _reads(one), os.fdopen(other, "wb", 0)
    try:
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: Output(name, about), reads)
    except BaseException:
        with contextlib.suppress(OSError):  # closed already
            os.close(one)
        writes.close()
        raise
    return writes


class _Reads:
    """A pipe's end that uvloop reads and closes. Of a file it would close the descriptor a second
    time, when its number may be another thread's already (uvloop 0.23.0, handles/handle.pyx)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        """Nothing: it is closed."""


def _reads(descriptor: int) -> BinaryIO | _Reads:
    """For the loop that runs, which closes it."""
    if isinstance(asyncio.get_running_loop(), uvloop.Loop):
        return _Reads(descriptor)
    return os.fdopen(descriptor, "rb", 0)


def _users_paths() -> tuple[str, ...]:
    """PYTHONPATH without the server's own folders: what lies there is made for its Python."""
    libraries = (sysconfig.get_path(key) for key in ("purelib", "platlib"))
    servers = {folder.resolve() for folder in (Path(__file__).parents[2], *map(Path, libraries))}
    folders = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return tuple(
        str(Path(path).absolute()) for path in folders if Path(path).resolve() not in servers
    )


def ending(code: int | None) -> str | None:
    """How a process ended, for people."""
    if code is None:
        return None
    return f"signal {-code}" if code < 0 else f"exit code {code}"
