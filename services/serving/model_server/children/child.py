"""A child's side of its start, forked or run as a program by another interpreter."""

import contextlib
import fcntl
import gc
import importlib
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_server import log as logs
from model_server.processes import wire
from model_server.processes.prctl import adopt, conceal, die_with_parent, reveal
from model_server.processes.task import Task

if TYPE_CHECKING:  # another interpreter imports this module, too, and only those that fork need it
    from model_server.confinement.rules import Rules

BOOT = Path(__file__).with_name("boot.py")
SOCKET = 3
"""The descriptor of a child's socket, the only one that it has beside the standard ones."""
DOOR = 4
"""The descriptor on which it sends where sockets are asked for, until it has confined itself."""
UNUSED = 10
"""The first descriptor that is none of these."""


def run(pickled: bytes, sock: int, output: int, door: int | None = None) -> None:
    """Do a Task, in a group of its own; forked, with everything that the parent holds open. `door`:
    a socket on which the HTTP process waits to be told where sockets are asked for."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _keep(sock, output, door)
    task: Task = pickle.loads(pickled)  # noqa: S301 - our parent's
    os.setpgrp()
    die_with_parent()
    adopt()
    _offer_to_oom_killer()
    conceal()
    os.environ.update(task.variables)
    tempfile.tempdir = None  # which the parent knows another of
    if task.rules:
        _confine(task.rules, has_door=door is not None)
    if task.python:
        _execute(task.python, task)
    sys.dont_write_bytecode = True  # a model's folder stays as it was saved
    _work(task.module, task.arguments)


def run_as_program() -> None:
    """What `run` does in another interpreter, with the rest of the Task on standard input."""
    module, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
    conceal()
    # As `preload` does for those that are forked, all of this.
    gc.disable()
    # Before logs are configured: MLflow does so, too.
    with contextlib.suppress(ImportError):
        import mlflow.tracing

        mlflow.tracing.disable()
    sys.dont_write_bytecode = True
    _work(module, arguments)


def _keep(sock: int, output: int, door: int | None) -> None:
    """These descriptors and no other: what is held open for others is not the child's."""
    kept = [output, output, sock] if door is None else [output, output, sock, door]
    copies = [fcntl.fcntl(one, fcntl.F_DUPFD, UNUSED) for one in kept]
    nothing = os.open(os.devnull, os.O_RDONLY)
    for place, one in enumerate((nothing, *copies)):
        os.dup2(one, place)
    os.closerange(len(kept) + 1, os.sysconf("SC_OPEN_MAX"))
    # Which multiprocessing had opened on another of the parent's.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115


def _confine(rules: "Rules", *, has_door: bool) -> None:
    """Confine this process, before any of a model's code runs. Raises OSError."""
    from model_server.confinement.confine import confine

    asked = confine(rules)
    if has_door and asked is not None:
        with socket.socket(fileno=DOOR) as door:
            socket.send_fds(door, [b"x"], [asked])
        os.close(asked)


def _execute(python: str, task: Task) -> None:
    """Become another interpreter, which reads the rest of the task. Raises OSError."""
    with tempfile.TemporaryFile() as file:
        file.write(pickle.dumps((task.module, task.arguments)))
        file.seek(0)
        os.dup2(file.fileno(), 0)
    os.execv(python, [python, "-I", str(BOOT), *task.paths])  # noqa: S606


def _work(module: str, arguments: Sequence[object]) -> None:
    # What a model starts adds nothing to its folder either: Python isolated, as it is in another
    # interpreter, heeds no variable that would say so to what a model spawns.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    flags = util._args_from_interpreter_flags  # type: ignore[attr-defined]  # private
    util._args_from_interpreter_flags = lambda: [*flags(), "-B"]  # type: ignore[attr-defined]
    sock = socket.socket(fileno=SOCKET)
    _allow_children(sock)
    logs.configure(os.environ.get("MODEL_SERVER_LOG_LEVEL", "INFO"))
    with contextlib.suppress(wire.PeerClosedError, BrokenPipeError, ConnectionResetError):
        program = importlib.import_module(module)
        gc.enable()
        program.main(sock, *arguments)


def _allow_children(sock: socket.socket) -> None:
    """Let a model start processes: they end with this one, whose group they are in. Spawned, if it
    does not choose otherwise, since a fork would copy locks that other threads hold; one that is
    forked all the same must not keep the socket open, whose end says that this process is gone."""
    # As the platform's default, not as a choice, which the model could not make any more.
    contexts: Any = multiprocessing.context._default_context
    contexts._default_context = multiprocessing.get_context("spawn")
    contexts._actual_context = None
    sock.set_inheritable(False)
    os.register_at_fork(after_in_child=sock.close)


def _offer_to_oom_killer() -> None:
    """When memory runs out, let it be a worker's, or of what that has started, and not the HTTP
    process's or the parent's."""
    reveal()  # else this file is not its own; nothing of a model is here yet
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
