"""What hangs in the gallery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.serving.reference.variations import Requests


@dataclass(frozen=True)
class Piece:
    """A model as somebody would bring it."""

    family: str
    save: Callable[[Path], None]
    """Saves into a folder that is not there yet."""
    requests: Callable[[], Requests]
    needs: tuple[str, ...] = ()
    """Modules beyond the server's own environment."""
