"""supervisord, which keeps the services of local mode running: its configuration, start and stop.

It is reached by a Unix socket in a folder that only its user may enter; it has no network port.
Its processes carry MARK, so that those left behind by a killed supervisord are found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host.files import write_whole
from host.paths import LOCAL, VENV
from host.python.environment import clean_variables
from host.user.terminal import CommandError

CONFIGURATION = LOCAL / "supervisord.conf"
MARK = "MLFLOW_STACK_LOCAL"
LONGEST_SOCKET = 90  # the system's limit is 104 to 108, and supervisord adds its pid to the name
STOP_DEADLINE = 40.0  # seconds; beyond what every program below gets

HEAD = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisorctl]
serverurl=unix://{socket}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
logfile=logs/supervisord.log
pidfile=run/supervisord.pid
"""
# TERM goes to the service alone, which ends its workers itself; KILL goes to all of them.
PROGRAM = """\
[program:{name}]
command=../.venv/bin/python ../host/processes/launch.py run/{name}.json
environment=PROGRAM_DIGEST={digest}
stdout_logfile=logs/{name}.log
redirect_stderr=true
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
autorestart=true
startsecs=3
startretries=3
stopwaitsecs={stop}
killasgroup=true
"""


@dataclass(frozen=True)
class Program:
    """stop: seconds that requests get to finish."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop: int = 20

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOCAL / "logs" / f"{self.name}.log"


def configure(programs: list[Program]) -> None:
    """Write what supervisord reads; `start` makes a running one follow it.

    Its syntax cannot say every path and value, so it gets none: paths are relative to LOCAL, and a
    program's command and variables are in a file of their own, whose digest makes supervisord
    notice a change.
    """
    for folder in (LOCAL / "run", LOCAL / "logs", _socket().parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    if _socket().parent.stat().st_uid != os.getuid():
        raise CommandError(f"{_socket().parent} belongs to another user: remove it, or set TMPDIR")
    sections = [HEAD.format(socket=_socket())]
    for program in programs:
        content = json.dumps({"command": program.command, "environment": program.environment})
        write_whole(LOCAL / "run" / f"{program.name}.json", content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        section = PROGRAM.format(name=program.name, digest=digest, stop=program.stop)
        sections.append(section)
    write_whole(CONFIGURATION, "\n".join(sections))


def start() -> None:
    """Start supervisord, or make the one that runs follow the configuration."""
    if running():
        _control("update")
        _control("start", "all")
        return
    stop_orphans()
    command: list[str | Path] = [VENV / "bin" / "supervisord", "--configuration", CONFIGURATION]
    environment = {**clean_variables(), MARK: str(LOCAL)}
    done = subprocess.run(
        command, env=environment, cwd=LOCAL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise CommandError(f"supervisord does not start: {reason or 'see .local/logs'}")


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
    if not CONFIGURATION.exists():
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
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                pids.append(int(process.name))
    return pids


def stop_orphans() -> None:
    """End the processes that carry our mark: first as they like it, then not."""
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
    program = VENV / "bin" / "supervisorctl"
    if not program.exists():
        return ""
    command: list[str | Path] = [program, "--configuration", CONFIGURATION, *words]
    done = subprocess.run(
        command, env=clean_variables(), cwd=LOCAL, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _socket() -> Path:
    """A path in LOCAL, or elsewhere if that is too long or says something to supervisord."""
    socket = LOCAL / "run" / "supervisor.sock"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET and not set(str(socket)) & set("%; "):
        return socket
    place = hashlib.sha256(os.fsencode(LOCAL)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"mlflow-stack-{os.getuid()}-{place}" / "supervisor.sock"
