"""What a server's processes cost, and when they have come to rest."""

import contextlib
import time

import psutil

REST_SHARE = 0.05  # of one core
REST_SECONDS = 2.0
REST_DEADLINE = 60.0


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def memory(pid: int) -> int:
    """PSS of the whole tree in bytes: pages that processes share count once."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total


def settle(*pids: int) -> None:
    """Wait until none of the trees has used more than 5 % of a core for two seconds."""
    deadline = time.monotonic() + REST_DEADLINE
    used = _cpu_seconds(pids)
    while time.monotonic() < deadline:
        time.sleep(REST_SECONDS)
        before, used = used, _cpu_seconds(pids)
        if used - before < REST_SHARE * REST_SECONDS:
            return


def cpu_seconds(pid: int) -> dict[int, float]:
    """Seconds of processor time that each process of a tree has used, in it and in the system."""
    seconds = {}
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds[process.pid] = times.user + times.system
    return seconds


def _cpu_seconds(pids: tuple[int, ...]) -> float:
    return sum(sum(cpu_seconds(pid).values()) for pid in pids)
