"""supervisord, which keeps the services of local mode running: its configuration, start and stop.

It is reached by a Unix socket in a folder that only its user may enter; it has no network port.
Its processes carry MARK, so that those left behind by a killed supervisord are found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.environment import VENV, clean_variables
from stack.paths import LOCAL
from stack.terminal import StackError

CONFIGURATION = LOCAL / "supervisord.conf"
LOG = LOCAL / "logs" / "supervisord.log"
MARK = "MLFLOW_STACK_LOCAL"
LONGEST_SOCKET = 90  # the system's limit is 104 to 108, and supervisord adds its pid to the name
INTERFACE = "supervisor.rpcinterface:make_main_rpcinterface"
STOP_DEADLINE = 40.0  # seconds; beyond what every program below gets


@dataclass(frozen=True)
class Program:
    """stop: seconds that requests get to finish."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop: int = 20

    @property
    def log(self) -> Path:
        return LOCAL / "logs" / f"{self.name}.log"


def configure(programs: list[Program]) -> None:
    """Write the configuration; `start` makes a running supervisord follow it."""
    socket = _socket()
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise StackError(f"{socket.parent} belongs to another user: remove it, or set TMPDIR")
    socket.parent.chmod(0o700)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    sections = [
        f"[unix_http_server]\nfile={_plain(socket)}\nchmod=0700",
        f"[supervisorctl]\nserverurl=unix://{_plain(socket)}",
        f"[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory={INTERFACE}",
        f"[supervisord]\nlogfile={_plain(LOG)}\npidfile={_plain(socket.with_suffix('.pid'))}",
        *map(_section, programs),
    ]
    temporary = CONFIGURATION.with_suffix(".new")
    temporary.write_text("\n\n".join(sections) + "\n")
    temporary.chmod(0o600)
    temporary.replace(CONFIGURATION)


def start() -> None:
    """Start supervisord, or make the one that runs follow the configuration."""
    if running():
        _control("update")
        _control("start", "all")
        return
    stop_orphans()
    command = [VENV / "bin" / "supervisord", "--configuration", CONFIGURATION]
    environment = {**clean_variables(), MARK: str(LOCAL)}
    done = subprocess.run(
        command, env=environment, cwd=LOCAL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stdout + done.stderr).strip().splitlines()
        raise StackError(f"supervisord does not start: {reason[-1] if reason else f'see {LOG}'}")


def stop() -> None:
    """Stop supervisord and its programs, and whatever an earlier one left behind."""
    if pid := running():
        _control("shutdown")
        deadline = time.monotonic() + STOP_DEADLINE
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    stop_orphans()


def running() -> int:
    """The pid of the supervisord that answers, or 0."""
    if not CONFIGURATION.exists() or not _socket().exists():
        return 0
    answer = _control("pid")
    return int(answer) if answer.isdigit() else 0


def given_up() -> dict[str, str]:
    """Programs that supervisord has stopped restarting, each with what it says about them."""
    lines = (line.split(None, 2) for line in _control("status").splitlines())
    return {fields[0]: fields[-1] for fields in lines if "FATAL" in fields[1:2]}


def marked() -> list[int]:
    """Processes that carry our mark; empty where the system does not show environments."""
    mark = f"{MARK}={LOCAL}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def stop_orphans() -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_DEADLINE / 4
        for pid in marked():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while marked() and time.monotonic() < deadline:
            time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _control(*words: str) -> str:
    command = [VENV / "bin" / "supervisorctl", "--configuration", CONFIGURATION, *words]
    if not command[0].exists():
        return ""
    done = subprocess.run(
        command, env=clean_variables(), cwd=LOCAL, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _socket() -> Path:
    socket = LOCAL / "run" / "supervisor.sock"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET:
        return socket
    place = hashlib.sha256(os.fsencode(LOCAL)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mlflow-stack-{os.getuid()}-{place}" / "supervisor.sock"


def _section(program: Program) -> str:
    environment = ",".join(f"{name}={_quoted(v)}" for name, v in program.environment.items())
    return "\n".join(
        [
            f"[program:{program.name}]",
            f"command={_plain(shlex.join(program.command))}",
            f"environment={environment}",
            f"directory={_plain(LOCAL)}",
            f"stdout_logfile={_plain(program.log)}",
            "redirect_stderr=true",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=2",
            "autorestart=true",
            "startsecs=3",
            "startretries=3",
            f"stopwaitsecs={program.stop}",
            # TERM goes to the service, which ends its workers itself; KILL to all of them.
            "killasgroup=true",
        ]
    )


def _plain(value: str | Path) -> str:
    """`value` as supervisord's configuration takes it: % starts an expansion, ` ;` a comment."""
    text = str(value)
    if "\n" in text or " ;" in text:
        raise StackError(f"supervisord cannot be given {text!r}: move the checkout, or mend .env")
    return text.replace("%", "%%")


def _quoted(value: str) -> str:
    escaped = _plain(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
