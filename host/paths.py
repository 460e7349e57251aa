"""Where things are. Everything the host tools make lies in `.venv` and `.local` of the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCAL = ROOT / ".local"


def shown(path: Path) -> str:
    """`path` as a user in the checkout would write it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
