"""Landlock, by its three system calls: https://docs.kernel.org/userspace-api/landlock.html.

A process gives up, for good and for all that it starts, every access that it does not name here.
"""

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION = 1
_PATH, _PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK = (1 << bit for bit in range(6, 12))
MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(12, 16))
_SINCE = {REFER: 2, TRUNCATE: 3, IOCTL_DEV: 5}
"""The first version (ABI) that has each right; all have the rest."""
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ = READ_FILE | READ_DIR | EXECUTE
_MAKE = MAKE_DIR | MAKE_REG | MAKE_FIFO | MAKE_SYM
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | _MAKE | REFER | TRUNCATE

CONNECT = 1 << 1
_TCP = CONNECT | 1 << 0
TCP_SINCE = 4
_SCOPES = 1 << 0 | 1 << 1
SCOPES_SINCE = 6

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def version() -> int:
    """The ABI of this kernel's; 0 where there is none, or it is switched off."""
    try:
        return _call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


class Ruleset:
    """What stays allowed. Nothing is restricted before `restrict`."""

    def __init__(self, *, tcp: bool) -> None:
        """tcp: whether to restrict it, where the kernel can. Raises OSError without Landlock."""
        self._version = version()
        self._files = sum(1 << bit for bit in range(16) if _SINCE.get(1 << bit, 1) <= self._version)
        fields = [self._files]
        if self._version >= TCP_SINCE:
            fields.append(_TCP if tcp else 0)
        if self._version >= SCOPES_SINCE:
            fields.append(_SCOPES)
        attribute = struct.pack(f"={len(fields)}Q", *fields)
        self._restricts_tcp = tcp and self._version >= TCP_SINCE
        self._descriptor = _call(_CREATE, attribute, len(attribute), 0)

    def allow(self, rights: int, path: str | os.PathLike[str]) -> None:
        """Allow them for a file, or a folder and what is below it; none for what is not there."""
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                self._allow(rights, descriptor)
            finally:
                os.close(descriptor)

    def connect_to(self, ports: Iterable[int]) -> None:
        """Allow TCP connections to these ports."""
        if self._restricts_tcp:
            for port in ports:
                self._add(_PORT, struct.pack("=QQ", CONNECT, port))

    def restrict(self) -> None:
        """This thread, and what it starts: call it before there are others. Without privileges it
        needs no_new_privs. Raises OSError."""
        _call(_RESTRICT, self._descriptor, 0)
        os.close(self._descriptor)

    def _allow(self, rights: int, descriptor: int) -> None:
        rights &= self._files
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            rights &= _OF_FILES
        self._add(_PATH, struct.pack("=Qi", rights, descriptor))

    def _add(self, kind: int, attribute: bytes) -> None:
        _call(_ADD, self._descriptor, kind, attribute, 0)


def _call(number: int, *arguments: object) -> int:
    done: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if done < 0:
        code = ctypes.get_errno() or errno.ENOSYS
        raise OSError(code, os.strerror(code))
    return done
