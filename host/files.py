"""Files that are either the old ones or the new ones, whole."""

from pathlib import Path


def write_whole(path: Path, content: str) -> None:
    """Write a file that is its owner's alone, beside its place, then rename it."""
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(content)
    temporary.replace(path)
