"""Bytecode of environments. A worker runs a model's code, so that it may not write where others
read: it says what it had to compile, and a child without a model compiles that once more, to stay.
What there is, environments share: a module's is as good beside every link to the module."""

import contextlib
import os
import py_compile
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib.util import cache_from_source, source_from_cache
from pathlib import Path

from model_server.environments.messages import MARKER
from model_server.processes import wire


def lacking() -> list[str]:
    """Files of the modules in this process whose bytecode is not on disk: in an environment of a
    model's own, none of its folder."""
    if not _is_own():
        return []
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    files = (spec.origin for spec in specs if spec is not None and spec.has_location)
    return [file for file in files if _belongs(file) and not Path(cache_from_source(file)).exists()]


def main(sock: socket.socket, files: Iterable[str]) -> None:
    """The child, in that environment: compile these, whatever they are, if they belong to it."""
    os.nice(10)  # what is served goes first
    for file in filter(_belongs, files):
        with contextlib.suppress(py_compile.PyCompileError, OSError):
            py_compile.compile(file, doraise=True, quiet=2)
    sock.sendall(wire.pack(True))


def _is_own() -> bool:
    return Path(sys.prefix, MARKER).is_file()


def _belongs(file: str) -> bool:
    return file.endswith(".py") and Path(file).resolve().is_relative_to(Path(sys.prefix).resolve())


def share_bytecode(folder: Path) -> int:
    """Links, beside the modules in this environment, what workers of the others have compiled of
    the very same files. Returns how many. Without it, MLflow and pandas would be compiled anew in
    every environment, for seconds."""
    count = 0
    for other in folder.parent.glob(f"*/{MARKER}"):
        if other.parent == folder:
            continue
        for compiled in other.parent.glob("lib/python*/site-packages/**/__pycache__/*.pyc"):
            with contextlib.suppress(OSError, ValueError):  # none of ours, or on its way out
                source = Path(source_from_cache(str(compiled)))
                if source.samefile(folder / source.relative_to(other.parent)):
                    link = folder / compiled.relative_to(other.parent)
                    link.parent.mkdir(exist_ok=True)
                    os.link(compiled, link)
                    count += 1
    return count


def compile_known(folder: Path) -> None:
    """Compile, in this environment, the modules that are imported here, where it has them too: in
    the process that workers are forked from, these are what a worker needs before its model's own.
    None of its code is run. Raises OSError."""
    packages = {*map(sysconfig.get_path, ("purelib", "platlib"))}
    known: set[Path] = set()
    for module in list(sys.modules.values()):
        file = Path(getattr(module, "__file__", None) or "")
        known.update(file.relative_to(place) for place in packages if file.is_relative_to(place))
    files = [
        str(place / file) for place in folder.glob("lib/python*/site-packages") for file in known
    ]
    subprocess.run(
        [folder / "bin" / "python", "-I", "-S", "-m", "compileall", "-q", "-i", "-"],
        input="\n".join(file for file in files if file.endswith(".py") and Path(file).exists()),
        text=True,
        stdout=subprocess.DEVNULL,
        check=False,
    )
