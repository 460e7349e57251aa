"""What the user sees: plain lines, progress for whatever lasts, one line for what went wrong."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TERMINAL_TICK = 1.0  # seconds between updates of the running line on a terminal
LOG_TICK = 10.0  # the same where output goes to a file: a line of its own each time
INTERRUPT_DEADLINE = 20.0  # seconds that an interrupted command gets to end
TAIL = 25  # lines of a failed command's output that are shown


class StackError(Exception):
    """Something the user can mend: its text is the one line that is shown."""


def say(text: str = "") -> None:
    print(text, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Show `what`, the seconds while it lasts, and how it ended."""
    terminal = sys.stdout.isatty()
    started = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(TERMINAL_TICK if terminal else LOG_TICK):
            seconds = time.monotonic() - started
            if terminal:
                print(f"\r- {what} ... {seconds:.0f} s", end="", flush=True)
            else:
                say(f"  {what} ... {seconds:.0f} s")

    print(f"- {what}", end="" if terminal else "\n", flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "interrupted"
    try:
        yield
        outcome = "done"
    except Exception:
        outcome = "failed"
        raise
    finally:
        over.set()
        ticker.join()
        line = f"{what}: {outcome} ({time.monotonic() - started:.1f} s)"
        say(f"\r- {line}   " if terminal else f"  {line}")


def run_quietly(
    command: Sequence[str | Path],
    what: str,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run `command` under a step and return its output, which is shown only if it fails."""
    with step(what):
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode != 0:
        for line in done.stdout.splitlines()[-TAIL:]:
            say(f"    {line}")
        raise StackError(f"{what}: {Path(command[0]).name} ended with status {done.returncode}")
    return done.stdout


def run_loudly(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[int, list[str]]:
    """Run `command`, show its output line by line; return its status and its last lines."""
    last: collections.deque[str] = collections.deque(maxlen=TAIL)
    with subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # an interrupt reaches it once, by us
    ) as process:
        try:
            for line in process.stdout:
                say(f"    {line.rstrip()}")
                last.append(line.rstrip())
        except BaseException:
            _interrupt(process)
            raise
    return process.returncode, list(last)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Let `process` and its children end as Ctrl-C would, and see that they do."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(INTERRUPT_DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
