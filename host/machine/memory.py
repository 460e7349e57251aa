"""How much memory this machine has left."""

from __future__ import annotations

import contextlib
from pathlib import Path


def available() -> int | None:
    """Bytes that a new process could use, container limits included; None where unknown."""
    limits = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(
            1024 * int(dict(line.split(":") for line in lines)["MemAvailable"].split()[0])
        )
    with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
        most, used = (
            int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current")
        )
        limits.append(max(0, most - used))
    return min(limits, default=None)
