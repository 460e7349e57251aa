"""A child that another interpreter runs, with what `Child` needs of a multiprocessing.Process."""

import contextlib
import io
import os
import pickle
import socket
import subprocess
import sysconfig
from pathlib import Path

BOOT = Path(__file__).with_name("boot.py")


def _users_paths() -> list[str]:
    """PYTHONPATH without the server's own folders: what lies there is made for its Python."""
    servers = {BOOT.parents[2], *(Path(sysconfig.get_path(key)) for key in ("purelib", "platlib"))}
    servers = {folder.resolve() for folder in servers}
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return [str(Path(path).absolute()) for path in given if Path(path).resolve() not in servers]


class Program:
    """`main(sock, *arguments)` of a module, run by the interpreter `python`."""

    def __init__(
        self, python: str, module: str, sock: socket.socket, arguments: tuple[object, ...]
    ) -> None:
        self._python = python
        self._sock = sock
        self._task = (module, arguments)
        self._process: subprocess.Popen | None = None
        self._ended: io.FileIO | None = None

    def start(self) -> None:
        """Raises OSError. To be called by the thread that starts all children: the kernel ties
        their lives to it."""
        reader, writer = os.pipe()
        self._ended = open(reader, "rb", buffering=0)  # noqa: PTH123, SIM115
        held = (self._sock.fileno(), writer)
        try:
            self._process = subprocess.Popen(
                [self._python, "-I", BOOT, *_users_paths()], stdin=subprocess.PIPE, pass_fds=held
            )
        finally:
            os.close(writer)
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(pickle.dumps((held, *self._task)))

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def sentinel(self) -> int:
        """A descriptor that is at its end when the process, which holds the other one, is."""
        return self._ended.fileno()

    @property
    def exitcode(self) -> int | None:
        return self._process.returncode

    def join(self) -> None:
        self._process.wait()

    def close(self) -> None:
        self._ended.close()
