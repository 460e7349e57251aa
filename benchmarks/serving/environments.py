"""An environment for each peer, from the hashed lock in its folder, made on first use."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from harness.report import say

FOLDER = Path(__file__).resolve().parents[1] / "peers"
UV = Path(sys.executable).parent / "uv"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/requirements.in"))


class MissingError(Exception):
    """Why a peer cannot be measured, in one line."""


def ensure(name: str) -> None:
    """Install a peer, unless what its lock names is there. Raises MissingError."""
    folder, lock = FOLDER / name / ".venv", FOLDER / name / "requirements.txt"
    stamp = folder / "installed"
    wanted = f"{sys.version}\n{folder}\n{hashlib.sha256(lock.read_bytes()).hexdigest()}\n"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"serving: installing {name} from {lock.relative_to(FOLDER.parent.parent)}")
    _run(name, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    install = ["pip", "install", "--quiet", "--require-hashes", "--no-build"]
    _run(name, *install, "--python", str(folder / "bin" / "python"), "-r", str(lock))
    stamp.write_text(wanted)


def _run(name: str, *arguments: str) -> None:
    variables = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        [UV, *arguments], env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise MissingError(f"{name} cannot be installed: {' '.join(lines)[:300]}")
