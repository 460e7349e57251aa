"""`make lock`: every environment's packages, pinned and hashed, the same versions everywhere.

The dev environment holds what every part needs, so it is resolved first and constrains the rest,
save the servers that benchmarks compare with, and the older releases whose data tests take over:
each of those has an environment for itself.
Pins stay as they are unless a .in file asks otherwise or UPGRADE=1 is given.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from host import environment
from host.paths import ROOT, shown
from host.terminal import StackError, run_quietly, say

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
    return source.with_suffix(".txt")


def stale() -> list[str]:
    """Locks that do not come from their .in files as these are now."""
    return [
        f"{shown(lock_of(source))} is not up to date: make lock"
        for source in sources()
        if f"# inputs: {_inputs(source)}\n" not in _head(lock_of(source))
    ]


def main() -> None:
    # uv comes from its own lock; the rest of the environment is not needed to resolve.
    environment.ensure(())
    upgrade = os.environ.get("UPGRADE", "") not in ("", "0")
    for source in sources():
        _compile(source, upgrade=upgrade)
    say("all locks are up to date")


def _compile(source: Path, *, upgrade: bool) -> None:
    lock = lock_of(source)
    # Index settings of this machine must not decide what others install.
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_"))}
    if "UV_DEFAULT_INDEX" in os.environ:
        variables["UV_DEFAULT_INDEX"] = os.environ["UV_DEFAULT_INDEX"]
    command = [environment.UV, "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    # Wheels only: a fresh machine has no compiler, and a build may fetch what no hash covers.
    command += ["--no-build"]
    command += ["--python-version", "3.11", "--no-header", "--output-file", shown(lock)]
    command += ["--python", environment.PYTHON, *(["--upgrade"] if upgrade else [])]
    if source not in (DEV, *peers()):
        command += ["--constraints", shown(lock_of(DEV))]
    command += map(shown, _origins(source))
    run_quietly(command, f"resolving {shown(lock)}", environment=variables, folder=ROOT)
    text = lock.read_text()
    if "://" in text:
        raise StackError(f"{shown(lock)} holds an address: name packages, not places")
    lock.write_text(HEADER.format(source=shown(source), digest=_inputs(source)) + text)


def _origins(source: Path) -> list[Path]:
    """The .in files that decide a lock: its own, and all of them for the dev lock."""
    return _parts() if source == DEV else [source]


def _inputs(source: Path) -> str:
    content = b"\n".join(origin.read_bytes() for origin in _origins(source))
    return hashlib.sha256(content).hexdigest()


def _head(lock: Path) -> str:
    try:
        return lock.read_text()[:400]
    except FileNotFoundError:
        return ""
