"""Files: what `~` means in their names, and writing one whole."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def expanded(path: str) -> Path:
    """The path with `~` filled in; as it is, where it names a user whom this machine has not."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
