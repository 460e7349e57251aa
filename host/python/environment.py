"""The one virtual environment of the checkout, filled from hashed locks by the command needing it.

`ensure(STACK)` and `ensure(DEV)` cost a few file reads when all is there. A checkout that moved,
another Python, or an install that was interrupted makes the environment anew or completes it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from host.files import write_whole
from host.paths import ROOT, VENV, shown
from host.python import pip_settings
from host.user.alone import alone
from host.user.terminal import CommandError, run, step

BOOTSTRAP = ROOT / "host" / "bootstrap.txt"
HOST = (ROOT / "host" / "requirements.txt",)
STACK = (
    *HOST,
    ROOT / "services" / "tracking" / "requirements.txt",
    ROOT / "services" / "serving" / "requirements.txt",
)
DEV = (ROOT / "requirements-dev.txt",)

STAMP = VENV / "mlflow-stack.json"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
FOREIGN = ("MLFLOW_", "AWS_", "TRACKING_", "SERVING_", "STACK_")
PACKAGE_HINT = "install it (Debian, Ubuntu: apt-get install python3-venv), or set PYTHON="


def ensure(locks: tuple[Path, ...]) -> None:
    """Make `.venv` hold what `locks` name; return at once if it does."""
    with alone(__file__, "prepares .venv") as held:
        if not _sound():
            _create(held)
        wanted = {str(lock.relative_to(ROOT)): _digest(lock) for lock in locks}
        present = _read_stamp()["locks"]
        if wanted.items() <= present.items():
            return
        _write_stamp(None)
        _install(locks, held)
        _write_stamp({**present, **wanted})


def variables() -> dict[str, str]:
    """The process environment with the virtual environment's programs first and pip's settings
    said in uv's words, for all that runs or installs packages on the user's behalf.

    Bytecode is kept whatever the shell says: without it each start of MLflow takes seconds more.
    """
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    for name in ("PYTHONHOME", "PYTHONPATH", "CONDA_PREFIX", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    return {**_read_stamp().get("uv", {}), **environment}


def clean_variables() -> dict[str, str]:
    """`variables()` without what the user's shell says about other MLflow servers."""
    return {k: v for k, v in variables().items() if not k.startswith(FOREIGN)}


def _identity() -> dict[str, str]:
    return {"python": platform.python_version(), "location": str(VENV)}


def _read_stamp() -> dict[str, Any]:
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def _write_stamp(locks: dict[str, str] | None) -> None:
    """Record what is installed: None while an install runs that may be interrupted."""
    content = {**_identity(), "locks": locks, "uv": pip_settings.in_uv_words(PYTHON)}
    write_whole(STAMP, json.dumps(content, indent=1))


def _sound() -> bool:
    stamp = _read_stamp()
    complete = _identity().items() <= stamp.items() and stamp.get("locks") is not None
    return complete and os.access(PYTHON, os.X_OK) and os.access(UV, os.X_OK)


def check() -> None:
    """Raise CommandError, before any change, if the environment is not ours or cannot be made."""
    if _sound():
        return
    # An empty one is ours: whoever made it was killed before it could be stamped.
    empty = VENV.is_dir() and not any(VENV.iterdir())
    if VENV.is_symlink() or (VENV.exists() and not empty and not STAMP.exists()):
        raise CommandError(
            f"{VENV} was not made by this project: move it away, or remove it, and try again"
        )
    parts = {name for name in ("venv", "ensurepip", "pip") if importlib.util.find_spec(name)}
    if not parts > {"venv"}:
        raise CommandError(f"{_base_python()} cannot make virtual environments: {PACKAGE_HINT}")


def _base_python() -> str:
    """The interpreter, and not that of the environment, which may be the one that runs this."""
    return getattr(sys, "_base_executable", None) or sys.executable


def _create(held: int) -> None:
    """held: the lock, which installers inherit: one may outlive a command that is killed."""
    check()
    if VENV.exists():
        with step(f"removing {shown(VENV)}: incomplete, or of another Python or place"):
            shutil.rmtree(VENV)
    VENV.mkdir()
    STAMP.write_text("{}")  # from here on it is ours, however far the rest gets
    with step(f"creating {shown(VENV)} with Python {platform.python_version()}"):
        pip = _make(_base_python(), held)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"}
    command = [*pip, "install", "--quiet", "--require-hashes", "--requirement", BOOTSTRAP]
    run(command, "installing uv", environment=environment, descriptors=[held])
    _write_stamp({})


def _make(python: str, held: int) -> list[str | Path]:
    """Make the virtual environment; return the pip command that installs into it.

    The interpreter's own pip saves the seconds that a second one takes; without it, ensurepip
    brings one, which Debian packages apart.
    """
    pip: list[str | Path] = [python, "-m", "pip", "--python", PYTHON]
    status, said = _run(held, python, "-m", "venv", "--without-pip", VENV)
    if status == 0 and _run(held, *pip, "--version")[0] == 0:
        return pip
    if status == 0:
        status, said = _run(held, PYTHON, "-m", "ensurepip", "--default-pip")
    if status != 0:
        raise CommandError(f"{python} cannot make {VENV} ({said}): {PACKAGE_HINT}")
    return [PYTHON, "-m", "pip"]


def _run(held: int, *command: str | Path) -> tuple[int, str]:
    """Status of `command` and the last line that it says."""
    done = subprocess.run(command, pass_fds=[held], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip().rpartition("\n")[2]


def _install(locks: tuple[Path, ...], held: int) -> None:
    command: list[str | Path] = [UV, "pip", "install", "--quiet", "--require-hashes", "--no-build"]
    command += ["--python", PYTHON]
    for lock in locks:
        command += ["-r", lock]
    names = ", ".join(shown(lock) for lock in locks)
    what = f"installing {names}"
    run(command, what, environment=variables(), descriptors=[held])


def _digest(lock: Path) -> str:
    try:
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise CommandError(f"{shown(lock)} is missing: make lock writes it") from None
