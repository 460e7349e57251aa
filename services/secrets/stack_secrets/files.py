"""Files that are either whole or not there, owned by one user."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

Give = Callable[[Path, int], None]
"""Gives a file or folder to a user and the group of the same number."""


def give(path: Path, user: int) -> None:
    """Give a path to a user of this machine."""
    os.chown(path, user, user, follow_symlinks=False)


def write(path: Path, text: str, user: int = 0, give: Give = give, mode: int = 0o400) -> None:
    """Put `text` at `path`: written beside it, flushed to the disk, then renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        give(temporary, user)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(path.parent)


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove every file of `folder` that is not in `names`: what a crash or an old version left."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    flush(folder)


def flush(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
