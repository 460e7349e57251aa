"""What is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.serving.reference.variations import Requests

PYFUNCS = Path(__file__).with_name("pyfuncs")
"""Models from code."""


@dataclass(frozen=True)
class Model:
    """A model to be saved in a folder that is not there yet, and requests made for it."""

    save: Callable[[Path], None]
    requests: Callable[[], Requests]
