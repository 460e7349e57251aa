"""A temporary folder of this server's own, which outlives no crash.

Files that pages show pass through TMPDIR whole. A killed server leaves them there, so each server
works in a folder that the next one can tell from one in use.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path

from tracking_server.errors import RefusedError

logger = logging.getLogger(__name__)

PREFIX = "mlflow-tracking-"


class TemporaryFolder:
    """Makes a folder in TMPDIR, locked as long as this process or a child of it lives."""

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        _remove_abandoned(base)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            self._lock = _lock(self.path)
        except OSError as error:
            raise RefusedError(f"TMPDIR={base}: cannot write there: {error.strerror}") from None
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.path)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _lock(folder: Path) -> int:
    """A descriptor that holds the folder's lock; BlockingIOError when another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        try:
            descriptor = _lock(folder)
        except OSError:  # in use, or another user's
            continue
        logger.info("removing what a killed server left in %s", folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
