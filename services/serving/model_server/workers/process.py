"""Child processes: forked from one prepared process or run by another interpreter, tied to this
one, spoken to over a socket."""

import asyncio
import contextlib
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from model_server.workers import wire
from model_server.workers.child import run
from model_server.workers.program import Program

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

_context = multiprocessing.get_context("forkserver")
# One thread, because multiprocessing's bookkeeping of children is not made for several.
_starter = ThreadPoolExecutor(1, thread_name_prefix="processes")


def prepare(threads: int, passed: Collection[str] = ()) -> dict[str, str]:
    """To be called once, before the first child. Returns the credentials of the environment, which
    no child inherits, but for the variables that are `passed` on.

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
    _context.set_forkserver_preload(["model_server.workers.preload"])
    found = {name: text for name, text in os.environ.items() if name.startswith(_CREDENTIALS)}
    for name in found.keys() - set(passed):
        del os.environ[name]
    return found


def prepare_ahead() -> None:
    """Start the process that children are forked from, after `prepare`, without waiting for it:
    its imports take seconds, which the first version to be loaded would otherwise pay."""
    # In the thread that starts children: the kernel ties its life to the thread that started it.
    _starter.submit(_start_forkserver)


def _start_forkserver() -> None:
    try:
        multiprocessing.forkserver.ensure_running()
    except OSError:  # the first child's start will try again, and say what is wrong
        log.warning("preparing for children failed", exc_info=True)


class Child:
    """A running child and the socket to it. Made by `spawn`, the one way to start a process."""

    def __init__(
        self,
        process: multiprocessing.Process | Program,
        channel: wire.Channel,
    ) -> None:
        self._process = process
        self.channel = channel
        self._gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(process.sentinel, self._on_gone, loop, process.sentinel)

        self._when_gone: Callable[[], None] | None = None

    def _on_gone(self, loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        self._gone.set()
        if self._when_gone:
            self._when_gone()

    def when_gone(self, call: Callable[[], None]) -> None:
        self._when_gone = call

    @property
    def is_gone(self) -> bool:
        return self._gone.is_set()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """At once, with everything that it started."""
        _kill(self.pid)

    async def end(self, grace: float = 0) -> int:
        """Close the socket, which a child takes as its end, and kill it after `grace` seconds.
        Returns the exit code, negative for a signal."""
        self.channel.close()
        try:
            async with asyncio.timeout(grace):
                await self._gone.wait()
        except TimeoutError:
            _kill(self.pid)
            await self._gone.wait()
        else:
            _kill_group(self.pid)  # what a worker that died by itself had started
        await _in_starter(self._process.join)
        code = self._process.exitcode
        self._process.close()
        return code


async def spawn(module: str, *arguments: object, name: str, python: str | None = None) -> Child:
    """Run `main(socket, *arguments)` of a module, which only the child imports: forked, or by
    another interpreter."""
    ours, theirs = socket.socketpair()
    process = (
        Program(python, module, theirs, arguments)
        if python
        else _context.Process(target=run, args=(module, theirs, *arguments), name=name, daemon=True)
    )
    starting = asyncio.ensure_future(_in_starter(process.start))
    try:
        await asyncio.shield(starting)
    except BaseException:
        await asyncio.wait([starting])  # a start half done is finished, then undone
        ours.close()
        if process.pid is not None:
            _kill(process.pid)
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    try:
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(wire.Channel, sock=ours)
        return Child(process, channel)
    except BaseException:
        ours.close()
        _kill(process.pid)
        raise


def _kill(pid: int) -> None:
    """With everything that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


async def _in_starter(call: Callable) -> None:
    # Shielded: a start half done must be finished, or its process would be nobody's.
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(_starter, call))


def ending(code: int | None) -> str | None:
    if code is None:
        return None
    return f"signal {-code}" if code < 0 else f"exit code {code}"
