"""How host tools call `docker`: in the checkout, with nothing to read, but for `converse`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from host.paths import ROOT
from host.user import terminal
from host.user.terminal import CommandError

# What runs under a command's lock holds it, too: a container may outlive a `make` that is killed.
held: list[int] = []


@dataclass(frozen=True)
class Answer:
    """status: 0 where docker did it. said: its output; complaint: its last line besides."""

    status: int
    said: str
    complaint: str


def ask(*arguments: str, patience: float | None = None) -> Answer:
    """What `docker ARGUMENTS` says; patience: seconds until it counts as silent."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(1, "", f"no answer within {patience} s")
    except OSError as error:
        return Answer(1, "", str(error))
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    lines = [line for line in lines if not line.startswith("exit status ")]
    return Answer(done.returncode, done.stdout.strip(), lines[-1].strip() if lines else "")


def said(*arguments: str) -> str:
    """The output of `docker ARGUMENTS`, or "" if it refuses."""
    answer = ask(*arguments)
    return answer.said if answer.status == 0 else ""


def need(*arguments: str) -> str:
    """The output of `docker ARGUMENTS`; raises CommandError with its last line if it refuses."""
    answer = ask(*arguments)
    if answer.status != 0:
        raise CommandError(f"docker {arguments[0]}: {answer.complaint}")
    return answer.said


def do(arguments: Sequence[str], what: str, *, aloud: bool = False) -> str:
    """Run `docker ARGUMENTS` under a step, as terminal.run does, and under the command's lock."""
    command = ["docker", *arguments]
    return terminal.run(command, what, aloud=aloud, folder=ROOT, descriptors=held)


def converse(container: str, service: str, *command: str) -> int:
    """Run a command in a new container of a service, at the user's terminal; its status.

    Without a terminal, Compose would leave the command running at Ctrl-C: it is told here.
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    options = ["--rm", "--no-deps", "--name", container, *([] if terminal else ["--no-TTY"])]
    process = subprocess.Popen(
        ["docker", "compose", "--progress", "quiet", "run", *options, service, *command],
        cwd=ROOT,
        stdin=None if terminal else subprocess.DEVNULL,
        start_new_session=not terminal,
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if not said("kill", "--signal", "INT", container):
                process.terminate()
