"""`make lock`: every environment's packages, pinned and hashed, the same versions everywhere.

The dev environment holds what every part needs, so it is resolved first and constrains the rest,
save the servers that benchmarks compare with, and the older releases whose data tests take over:
each of those has an environment for itself.
Pins stay as they are unless a .in file asks otherwise or UPGRADE=1 is given.
"""

from __future__ import annotations

import os
from pathlib import Path

from host.paths import ROOT, shown
from host.python import environment, locks
from host.user.options import Options
from host.user.terminal import CommandError, run, say


def main(options: Options) -> None:
    """Resolve every lock anew."""
    # uv comes from its own lock; the rest of the environment is not needed to resolve.
    environment.ensure(())
    for source in locks.sources():
        _compile(source, upgrade=options.upgrade)
    say("all locks are up to date")


def _compile(source: Path, *, upgrade: bool) -> None:
    lock = locks.lock_of(source)
    # Index settings of this machine must not decide what others install.
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_"))}
    if "UV_DEFAULT_INDEX" in os.environ:
        variables["UV_DEFAULT_INDEX"] = os.environ["UV_DEFAULT_INDEX"]
    command: list[str | Path] = [
        environment.UV,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--generate-hashes",
    ]
    # Wheels only: a fresh machine has no compiler, and a build may fetch what no hash covers.
    command += ["--no-build"]
    command += ["--python-version", "3.11", "--no-header", "--output-file", shown(lock)]
    command += ["--python", environment.PYTHON, *(["--upgrade"] if upgrade else [])]
    if source not in (locks.DEV, *locks.peers()):
        command += ["--constraints", shown(locks.lock_of(locks.DEV))]
    command += map(shown, locks.origins(source))
    run(command, f"resolving {shown(lock)}", environment=variables, folder=ROOT)
    text = lock.read_text()
    if "://" in text:
        raise CommandError(f"{shown(lock)} holds an address: name packages, not places")
    lock.write_text(locks.HEADER.format(source=shown(source), digest=locks.digest(source)) + text)
