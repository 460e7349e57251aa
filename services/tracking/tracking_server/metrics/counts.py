"""The files that all processes of one server count in, and what becomes of a dead worker's."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DEAD = "dead"


class Counts:
    """A new folder, in memory where the machine has that: a server begins at zero.

    To be made before prometheus_client is imported, which reads where to count then.
    """

    def __init__(self, memory: str | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="mlflow-tracking-metrics-", dir=memory))
        os.environ[VARIABLE] = str(self.path)

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self, how: int = fcntl.LOCK_SH) -> Iterator[None]:
        """Read the files whole, or, with LOCK_EX, move counts from one to another."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def bury(self, pid: int) -> None:
        """Keep what a dead worker counted, in one file for all that died: else a server whose
        workers die again and again fills the memory with their files."""
        from prometheus_client.mmap_dict import MmapedDict
        from prometheus_client.multiprocess import mark_process_dead

        with self.locked(fcntl.LOCK_EX):
            mark_process_dead(pid, str(self.path))  # its requests are in flight no more
            for file in self.path.glob(f"*_{pid}.db"):
                kind = file.name.removesuffix(f"_{pid}.db")
                total = MmapedDict(str(self.path / f"{kind}_{DEAD}.db"))
                for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(file)):
                    total.write_value(key, total.read_value(key)[0] + value, timestamp)
                total.close()
                file.unlink()
