"""Writing a file so that a crash leaves either the old one or the new one, whole."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Raises OSError, and then leaves what was there."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
