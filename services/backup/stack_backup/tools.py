"""Runs pg_dump, psql, rclone and restic. None is given a secret but by the name of a file."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stack_backup.errors import ToolError


def run(
    *command: str | Path,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    loud: bool = False,
    patience: float | None = None,
) -> str:
    """What a command prints; `loud`: its lines are shown as they come, and "" is returned.

    Raises ToolError with the last line that it wrote to standard error, also where it lasts longer
    than `patience` seconds.
    """
    with subprocess.Popen(
        command,
        env={**os.environ, **(variables or {})},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=None if loud else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            printed, said = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.terminate()
            printed, said = process.communicate()
        except BaseException:
            process.terminate()  # restic then takes its lock away
            raise
    if process.returncode:
        lines = [line for line in said.strip().splitlines() if line.strip()]
        last = lines[-1].strip() if lines else f"status {process.returncode}"
        name = Path(command[0]).name
        raise ToolError(f"{name}: {last.removeprefix(f'{name}: ')}", process.returncode, said)
    return printed or ""
