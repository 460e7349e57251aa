"""What a process that runs a model's code may reach."""

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model_server.confinement.seccomp import Reach

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_OF_ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl", "ca-certificates", "pki", "localtime"),
    *("crypto-policies", "timezone", "mime.types", "passwd", "group", "nsswitch.conf", "hosts"),
    *("resolv.conf", "host.conf", "gai.conf", "protocols", "services", "fonts", "magic"),
    *("os-release", "alternatives", "OpenCL", "vulkan", "R", "locale.alias", "java*"),
)
_MACHINE = ("/proc", "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup")
"""What libraries ask of the machine, and of the processes that they start. Memory, variables and
descriptors of processes that are not confined with it stay closed: Landlock sees to that."""
_HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ACCELERATORS = ("nvidia*", "dri", "kfd")
_SHARED_MEMORY = ("/dev/shm",)  # noqa: S108 - where semaphores are, which processes of a model share
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LIBRARIES = ("LD_LIBRARY_PATH", "JAVA_HOME", "R_HOME", "SPARK_HOME", "CUDA_HOME", "CUDA_PATH")


@dataclass(frozen=True)
class Rules:
    """Paths may be files, or folders with all that is below them."""

    readable: tuple[str, ...] = ()
    """Files that it may read, and run."""
    listable: tuple[str, ...] = ()
    """Folders of which names may be read, and nothing in them."""
    writable: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    """Where others write, too: files there may be opened by those who know their names."""
    network: Reach = "none"
    ports: tuple[int, ...] = ()
    """TCP ports, of any address, that may be connected to."""
    filtered: bool = True
    """Whether system calls are."""


def rules(
    readable: Iterable[str | os.PathLike[str]],
    writable: Iterable[str | os.PathLike[str]] = (),
    python: str | None = None,
    kept: Iterable[str | os.PathLike[str]] = (),
    folders: Iterable[str | os.PathLike[str]] = (),
    network: Reach = "none",
    ports: Iterable[int] = (),
) -> Rules:
    """Rules for a process that reads these files and folders, writes those, and is run by `python`
    (None: this interpreter). `kept` are paths that it must not read, even where a folder of
    libraries or one of `folders`, which it reads as well, holds them."""
    closed = [os.path.realpath(one) for one in kept]
    files: list[str] = []
    listable: list[str] = []
    asked = [os.path.realpath(one) for one in readable]
    also = [os.path.realpath(one) for one in folders]
    for path in _unique([*_libraries(python), *_system(), *also]):
        if any(_holds(path, one) for one in closed):
            listable.append(path)
            files.extend(_around(path, closed))
        else:
            files.append(path)
    accelerators = (str(one) for name in _ACCELERATORS for one in Path("/dev").glob(name))
    return Rules(
        tuple(_unique([*files, *asked])),
        tuple(listable),
        tuple(os.path.realpath(one) for one in writable),
        (*_HARMLESS, *accelerators),
        _SHARED_MEMORY,
        network,
        tuple(ports),
    )


def _libraries(python: str | None) -> Iterator[str]:
    """Where an interpreter finds its modules, and libraries theirs."""
    yield str(Path(__file__).parents[1])  # of this server: what runs the model
    # But for the folder that the server happened to be started in, which `python -m` adds.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    yield from (folder for folder in sys.path if folder in paths or not _is_here(folder))
    yield from (sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    if python:
        yield str(Path(python).parents[1])
        yield str(Path(python).resolve().parents[1])
    for name in _LIBRARIES:
        paths = os.environ.get(name, "").split(os.pathsep)
        yield from (path for path in paths if os.path.isabs(path))  # noqa: PTH117


def _is_here(folder: str) -> bool:
    try:
        return os.path.samefile(folder, os.curdir)  # noqa: PTH121
    except OSError:
        return False


def _system() -> Iterator[str]:
    yield from SYSTEM
    yield from (str(path) for name in _OF_ETC for path in Path("/etc").glob(name))
    yield from _MACHINE
    yield from filter(None, map(os.environ.get, _CERTIFICATES))


def _unique(paths: Iterable[str]) -> list[str]:
    """Each once, those that are there; never all that there is."""
    absolute = dict.fromkeys(path for path in paths if os.path.isabs(path))  # noqa: PTH117
    return [path for path in absolute if os.path.exists(path) and os.path.realpath(path) != "/"]  # noqa: PTH110


def _holds(folder: str, path: str) -> bool:
    return f"{path}/".startswith(f"{os.path.realpath(folder).rstrip('/')}/")


def _around(folder: str, kept: list[str]) -> Iterator[str]:
    """Everything in a folder that is none of `kept`, and holds none."""
    for entry in os.scandir(folder):
        if entry.path not in kept and os.path.realpath(entry.path) not in kept:
            if any(_holds(entry.path, one) for one in kept):
                yield from _around(entry.path, kept)
            else:
                yield entry.path
