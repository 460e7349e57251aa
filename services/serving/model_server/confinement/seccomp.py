"""A filter of system calls, by libseccomp: https://man7.org/linux/man-pages/man3/seccomp_rule_add.3.html.

It closes what Landlock leaves open, by what can be seen of a call: its number and its arguments,
not what they point to.
"""

import ctypes
import errno
import functools
import socket
from collections.abc import Iterator
from typing import Literal, NamedTuple

Reach = Literal["none", "proxy", "ports", "any"]
"""none: no socket at all; proxy: each TCP socket is one that is connected to the version's proxy
already; ports: TCP to the ports that Landlock leaves, and UDP, by which names are resolved; any:
TCP and UDP in both directions."""

_ALLOW, _ERRNO, _NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_NOTHING = 0
"""Instead of an error: the call is not made, and says that it was."""
_NE, _EQ, _GT, _MASKED = 1, 4, 6, 7
_TREE, _NO_SPECULATION_BARRIER = 8, 7

_NEWER = {"fchmodat2": 452, "setxattrat": 463, "removexattrat": 466, "file_setattr": 469}
"""Numbers, the same on every architecture, of calls that an older libseccomp does not know."""

MSG_FASTOPEN = 0x20000000
CLONE_NEWUSER = 0x10000000
CLONE_PARENT = 0x8000
_SET_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


class _Argument(ctypes.Structure):
    _fields_ = (
        ("position", ctypes.c_uint),
        ("how", ctypes.c_int),
        ("one", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
    )


class Rule(NamedTuple):
    """What becomes of a system call."""

    calls: str
    """Names, separated by spaces."""
    error: int | None = errno.EPERM
    """None: the call waits for whoever has the descriptor that `load` returns, and does it."""
    where: tuple[tuple[int, int, int, int], ...] = ()
    """Tests of arguments, counted from 0: position, comparison and its two numbers; all must
    hold."""


def _is(position: int, number: int) -> tuple[int, int, int, int]:
    return position, _EQ, number, 0


def _is_not(position: int, number: int) -> tuple[int, int, int, int]:
    return position, _NE, number, 0


def _has(position: int, bits: int) -> tuple[int, int, int, int]:
    return position, _MASKED, bits, bits


_ALWAYS = (
    # Other processes: to look into them, to slow them down.
    Rule("ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise"),
    Rule("process_mrelease migrate_pages move_pages perf_event_open lookup_dcookie"),
    Rule("prlimit64 sched_setaffinity sched_setscheduler", where=(_is_not(0, 0),)),
    Rule("sched_setparam sched_setattr", where=(_is_not(0, 0),)),
    Rule("setpriority ioprio_set", where=(_is_not(1, 0),)),
    Rule("setpriority", where=(_is_not(0, 0),)),  # PRIO_PROCESS
    Rule("ioprio_set", where=(_is_not(0, 1),)),  # IOPRIO_WHO_PROCESS
    # Modes, owners and times, also of files that can only be read. Programs that copy a file set
    # them, and fail where this fails.
    Rule("chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat", _NOTHING),
    Rule("utime utimes futimesat utimensat", _NOTHING),
    Rule("setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr"),
    Rule("removexattrat file_setattr"),
    # Memory and queues that have a name which every process of the machine can ask for.
    Rule("shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"),
    Rule("mq_open mq_unlink"),
    # What sees neither these rules nor Landlock's in all its kinds of calls.
    Rule("io_uring_setup io_uring_enter io_uring_register", errno.ENOSYS),
    # What a model has no use for, and kernels have had holes in.
    Rule("bpf userfaultfd keyctl add_key request_key open_by_handle_at name_to_handle_at"),
    Rule("fanotify_init mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig"),
    Rule("fsmount fspick mount_setattr setns unshare swapon swapoff acct quotactl syslog"),
    Rule("clone", where=(_has(0, CLONE_NEWUSER),)),
    # Who is whose parent, and what ends with it: what a worker starts must end with it.
    Rule("clone", where=(_has(0, CLONE_PARENT),)),
    Rule("prctl", _NOTHING, (_is(0, _SET_DEATH_SIGNAL),)),
    Rule("prctl", where=(_is(0, _SET_CHILD_SUBREAPER),)),
    # Landlock does not see it, and it tells the names of files in folders that cannot be listed:
    # those of others' shared memory too, which keep it theirs.
    Rule("inotify_add_watch", errno.EACCES),
    Rule("clone3", errno.ENOSYS),  # whose flags cannot be seen: libraries then take `clone`
    # Landlock looks at connect and bind alone.
    Rule("sendto", errno.EACCES, (_has(3, MSG_FASTOPEN),)),
    Rule("sendmsg", errno.EACCES, (_has(2, MSG_FASTOPEN),)),
    Rule("sendmmsg", errno.EACCES, (_has(3, MSG_FASTOPEN),)),
)


def _rules(network: Reach) -> Iterator[Rule]:
    yield from _ALWAYS
    if network == "none":
        # Of every kind: those with a path, too, which Landlock does not see. Pairs of sockets,
        # which only their maker holds, are made by another call.
        yield Rule("socket", errno.EACCES)
        return
    internet = (socket.AF_INET, socket.AF_INET6)
    families = [one for one in range(socket.AF_INET6) if one not in internet]
    for where in (*(_is(0, one) for one in families), (0, _GT, socket.AF_INET6, 0)):
        yield Rule("socket", errno.EACCES, (where,))
    kinds = (socket.SOCK_STREAM,) if network == "proxy" else (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    for kind in (one for one in range(16) if one not in kinds):
        yield Rule("socket", errno.EACCES, (_kind(kind),))
    if network == "any":
        return
    yield Rule("listen", errno.EACCES)
    # Of what is like TCP and is not, Landlock knows nothing.
    stream = _kind(socket.SOCK_STREAM)
    others = (_is(2, one) for one in range(1, socket.IPPROTO_TCP))
    for where in (*others, (2, _GT, socket.IPPROTO_TCP, 0)):
        yield Rule("socket", errno.EACCES, (stream, where))
    if network == "proxy":
        for family in internet:
            for protocol in (0, socket.IPPROTO_TCP):
                yield Rule("socket", None, (_is(0, family), stream, _is(2, protocol)))
        yield Rule("connect", _NOTHING)
        yield Rule("bind", errno.EACCES)


def _kind(number: int) -> tuple[int, int, int, int]:
    """The kind of a socket, without its flags."""
    return 1, _MASKED, 15, number


@functools.cache
def library() -> ctypes.CDLL | None:
    """libseccomp; None where it is not installed."""
    try:
        libseccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        return None
    libseccomp.seccomp_init.restype = ctypes.c_void_p
    libseccomp.seccomp_init.argtypes = [ctypes.c_uint32]
    libseccomp.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    libseccomp.seccomp_load.argtypes = [ctypes.c_void_p]
    libseccomp.seccomp_notify_fd.argtypes = [ctypes.c_void_p]
    libseccomp.seccomp_release.argtypes = [ctypes.c_void_p]
    libseccomp.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Argument),
    ]
    return libseccomp


def load(network: Reach) -> int | None:
    """Filter calls of this thread and what it starts, for good; no_new_privs must be set. Returns,
    where the network is `proxy`, a descriptor at which sockets are asked for. Raises OSError."""
    calls = library()
    if calls is None:
        raise OSError(errno.ENOSYS, "libseccomp is not installed")
    known = calls.seccomp_syscall_resolve_name
    context = calls.seccomp_init(_ALLOW)
    try:
        calls.seccomp_attr_set(context, _NO_SPECULATION_BARRIER, 1)
        calls.seccomp_attr_set(context, _TREE, 2)
        for names, error, where in _rules(network):
            arguments = (_Argument * len(where))(*(_Argument(*one) for one in where))
            for name in names.split():
                number = known(name.encode())
                number = _NEWER.get(name, number) if number < 0 else number
                if number < 0:
                    continue  # which this architecture has not
                action = _NOTIFY if error is None else _ERRNO | error
                _check(calls.seccomp_rule_add_array(context, action, number, len(where), arguments))
        _check(calls.seccomp_load(context))
        return _check(calls.seccomp_notify_fd(context)) if network == "proxy" else None
    finally:
        calls.seccomp_release(context)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, "libseccomp refuses a rule or the filter")
    return result
