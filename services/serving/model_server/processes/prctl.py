"""What a process asks of Linux for itself (prctl(2)); elsewhere these do nothing."""

import ctypes
import signal
import sys

_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_CHILD_SUBREAPER = 1, 4, 36


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Be killed, even while hung, when the parent ends in whatever way. Elsewhere a
    child ends when it next looks at its socket."""
    _prctl(_SET_DEATH_SIGNAL, by)


def adopt() -> None:
    """Become the parent of what the children of this process leave behind, and so on; when it ends,
    they are its own parent's."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def conceal() -> None:
    """Keep this process's memory and variables from others of the same user."""
    _prctl(_SET_DUMPABLE, 0)


def reveal() -> None:
    """Undo `conceal`, which those that are forked inherit."""
    _prctl(_SET_DUMPABLE, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
