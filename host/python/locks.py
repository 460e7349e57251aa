"""The locks of all environments, and the .in files that they come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from host.paths import ROOT, shown

DEV = ROOT / "requirements-dev.in"
HEADER = (
    "# Made by `make lock` from {source}: change that file, not this one.\n# inputs: {digest}\n"
)


def sources() -> list[Path]:
    """All .in files, the one that constrains the others first."""
    return [*_parts(), *peers()]


def _parts() -> list[Path]:
    """The .in files of what the dev environment holds."""
    services = sorted(ROOT.glob("services/*/requirements.in"))
    return [DEV, ROOT / "host" / "bootstrap.in", ROOT / "host" / "requirements.in", *services]


def peers() -> list[Path]:
    """The .in files of environments of their own."""
    folders = ("benchmarks/peers", "tests/releases")
    return sorted(path for f in folders for path in ROOT.glob(f"{f}/*/requirements.in"))


def lock_of(source: Path) -> Path:
    """The lock of a .in file."""
    return source.with_suffix(".txt")


def stale() -> list[str]:
    """Locks that do not come from their .in files as these are now."""
    return [
        f"{shown(lock_of(source))} is not up to date: make lock"
        for source in sources()
        if f"# inputs: {digest(source)}\n" not in _head(lock_of(source))
    ]


def origins(source: Path) -> list[Path]:
    """The .in files that decide a lock: its own, and all of them for the dev lock."""
    return _parts() if source == DEV else [source]


def digest(source: Path) -> str:
    """What a lock of these inputs says of them."""
    content = b"\n".join(origin.read_bytes() for origin in origins(source))
    return hashlib.sha256(content).hexdigest()


def _head(lock: Path) -> str:
    try:
        return lock.read_text()[:400]
    except FileNotFoundError:
        return ""
