"""A process confines itself, for good and with all that it starts."""

import ctypes
import os
import resource
import sys

from model_server.confinement import landlock, seccomp
from model_server.confinement.rules import Rules

_SET_NO_NEW_PRIVS = 38
_CAPABILITIES = 0x20080522
"""The version of the kernel's structures that hold 64 of them."""
_DAC_READ_SEARCH = 1 << 2
OPEN_FILES = 4096
_LIMITS = {"RLIMIT_CORE": 0, "RLIMIT_MSGQUEUE": 0, "RLIMIT_NICE": 0, "RLIMIT_RTPRIO": 0}


def lacking() -> list[str]:
    """What this machine cannot do; nothing where confinement is whole."""
    if not sys.platform.startswith("linux"):
        return [f"{sys.platform} has no Landlock: only Linux does"]
    reasons = []
    version = landlock.version()
    if not version:
        reasons.append("the kernel has no Landlock, or it is switched off: Linux 5.13 has it")
    elif version < landlock.SCOPES_SINCE:
        reasons.append(
            f"the kernel's Landlock ({version}) does not know signals: Linux 6.12's does"
        )
    if seccomp.library() is None:
        reasons.append("libseccomp is not installed (libseccomp.so.2)")
    return reasons


def confine(rules: Rules) -> int | None:
    """Confine this process by whatever this machine has; call it before there is a second thread.
    Returns what `seccomp.load` does. Raises OSError."""
    if not sys.platform.startswith("linux"):
        return None
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _limit()
    _drop_capabilities()
    if landlock.version():
        _restrict(rules)
    return seccomp.load(rules.network) if rules.filtered and seccomp.library() else None


def _restrict(rules: Rules) -> None:
    ruleset = landlock.Ruleset(tcp=rules.network != "any")
    for path in rules.readable:
        ruleset.allow(landlock.READ, path)
    for path in rules.listable:
        ruleset.allow(landlock.READ_DIR, path)
    for path in rules.writable:
        ruleset.allow(landlock.WRITE, path)
    for path in rules.devices:
        ruleset.allow(landlock.READ_FILE | landlock.WRITE_FILE | landlock.IOCTL_DEV, path)
    for path in rules.shared:
        # Without the right to list them: names are random, and their makers' own.
        ruleset.allow(landlock.WRITE & ~(landlock.READ_DIR | landlock.EXECUTE), path)
    ruleset.connect_to(rules.ports)
    ruleset.restrict()


def _limit() -> None:
    for name, most in _LIMITS.items():
        resource.setrlimit(getattr(resource, name), (most, most))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _drop_capabilities() -> None:
    """Drop the rights of a server that root has started; others have none. Root goes on to read
    what belongs to others, where the rules let it."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0)
    has, keeps = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    if libc.capget(header, has) == 0:
        keeps[0] = keeps[1] = has[1] & _DAC_READ_SEARCH
        if libc.capset(header, keeps) == 0:
            return
    raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")
