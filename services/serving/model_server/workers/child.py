"""A child's side of its start, forked or run as a program by another interpreter."""

import contextlib
import ctypes
import importlib
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from multiprocessing import util
from pathlib import Path

from model_server import log as logs
from model_server.workers import wire


def run(module: str, sock: socket.socket, *arguments: object) -> None:
    """`main(sock, *arguments)` of a module, in a group of its own."""
    _begin()
    sys.dont_write_bytecode = True  # a model's folder stays as it was saved
    _work(module, sock, arguments)


def run_as_program() -> None:
    """As `run`, with what `Program` wrote to the standard input."""
    descriptors, module, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
    _begin()
    held, ended = descriptors
    os.set_inheritable(ended, False)  # else what the model starts would hold it
    os.register_at_fork(after_in_child=lambda: os.close(ended))
    # As `preload` does for those that are forked. Before logs are configured: MLflow does so, too.
    with contextlib.suppress(ImportError):
        import mlflow.tracing

        mlflow.tracing.disable()
    _compile_only_within(sys.prefix)
    _work(module, socket.socket(fileno=held), arguments)


def _begin() -> None:
    os.setpgrp()
    die_with_parent()
    _offer_to_oom_killer()


def _work(module: str, sock: socket.socket, arguments: Sequence[object]) -> None:
    # What a model starts adds nothing to its folder either.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    _allow_children(sock)
    logs.configure(os.environ.get("MODEL_SERVER_LOG_LEVEL", "INFO"))
    with contextlib.suppress(wire.PeerClosedError, BrokenPipeError, ConnectionResetError):
        importlib.import_module(module).main(sock, *arguments)


def _allow_children(sock: socket.socket) -> None:
    """Let a model start processes: they end with this one, whose group they are in. Spawned, if it
    does not choose otherwise, since a fork would copy locks that other threads hold; one that is
    forked all the same must not keep the socket open, whose end says that this process is gone."""
    multiprocessing.current_process().daemon = False
    # As the platform's default, not as a choice, which the model could not make any more.
    contexts = multiprocessing.context._default_context
    contexts._default_context = multiprocessing.get_context("spawn")
    contexts._actual_context = None
    sock.set_inheritable(False)
    os.register_at_fork(after_in_child=sock.close)


def _compile_only_within(folder: str) -> None:
    """Keep bytecode of the environment's packages, as any Python does, but write none elsewhere:
    a model's folder stays as it was saved. Compiling them takes longer than all else of a start."""
    write = SourceFileLoader.set_data

    def set_data(self, path: str, data: bytes, **more: object) -> None:
        if path.startswith(folder + os.sep):
            write(self, path, data, **more)

    SourceFileLoader.set_data = set_data
    # Python isolated, as it is here, heeds no variable that would say so to what a model spawns.
    flags = util._args_from_interpreter_flags
    util._args_from_interpreter_flags = lambda: [*flags(), "-B"]


def die_with_parent() -> None:
    """Be killed, even while hung, when the parent ends in whatever way. Linux only; elsewhere a
    child ends when it next looks at its socket."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _offer_to_oom_killer() -> None:
    """When memory runs out, let it be a worker's, not the HTTP process's."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
