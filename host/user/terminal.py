"""What the user sees: plain lines, progress for whatever lasts, one line for what went wrong."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from host.user import interrupts

CLEAR = "\r\033[K"  # the line that the seconds are shown on
TERMINAL_TICK = 1.0  # seconds between updates of the running line on a terminal
LOG_TICK = 10.0  # the same where output goes to a file: a line of its own each time
INTERRUPT_DEADLINE = 20.0  # seconds that an interrupted command gets to end
TAIL = 25  # lines of a failed command's output that are shown


class CommandError(Exception):
    """Why a command cannot go on, for the user to mend: its text is the one line that is shown."""


def say(text: str = "") -> None:
    """Show a line at once, also where output goes to a file."""
    print(text, flush=True)


class _Progress:
    """Says that something still runs, whenever nothing else has been said for a while."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stdout.isatty()
        self._tick = TERMINAL_TICK if self._terminal else LOG_TICK
        self._started = self._said = time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def write(self, line: str) -> None:
        """Show a line above the seconds."""
        with self._lock:
            self._said = time.monotonic()
            say(f"{CLEAR if self._terminal else ''}{line}")

    def start(self) -> None:
        """Show what begins."""
        self.write(f"- {self._what}")
        self._thread.start()

    def end(self, outcome: str) -> None:
        """Show how it ended, and after how long."""
        self._over.set()
        if self._thread.is_alive():  # else an interrupt came before it began
            self._thread.join()
        self.write(f"  {outcome} ({self._seconds():.1f} s)")

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _run(self) -> None:
        while not self._over.wait(self._tick):
            if time.monotonic() - self._said < self._tick:
                continue
            if self._terminal:
                with self._lock:
                    print(f"{CLEAR}  {self._seconds():.0f} s", end="", flush=True)
            else:
                self.write(f"  {self._what}: {self._seconds():.0f} s so far")


@contextlib.contextmanager
def step(what: str) -> Iterator[Callable[[str], None]]:
    """Show `what`, the seconds while it lasts, and how it ended; yields what writes a line."""
    progress = _Progress(what)
    outcome = "interrupted"
    try:
        progress.start()
        yield progress.write
        outcome = "done"
    except Exception:
        outcome = "failed"
        raise
    finally:
        progress.end(outcome)


def run(
    command: Sequence[str | Path],
    what: str,
    *,
    aloud: bool = False,
    hidden: re.Pattern[str] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    descriptors: Sequence[int] = (),
) -> str:
    """Run `command`, which inherits `descriptors`, under a step; its output.

    aloud: shown as it comes, save for `hidden` lines; otherwise its end is shown if it fails.
    """
    started = _child(command, env=environment, cwd=folder, pass_fds=descriptors)
    with step(what) as write, started as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if aloud and not (hidden and hidden.match(line)):
                write(f"    {line.rstrip()}")
        if process.wait() != 0:
            for line in () if aloud else lines[-TAIL:]:
                write(f"    {line.rstrip()}")
            last = f": {lines[-1].strip()}" if lines else ""
            name = Path(command[0]).name
            raise CommandError(f"{what}: {name} ended with status {process.returncode}{last}")
    return "".join(lines)


@contextlib.contextmanager
def _child(command: Sequence[str | Path], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has ended when the block has, wherever in it an interrupt comes."""
    process = None
    try:
        with interrupts.held():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # an interrupt reaches it once, by us
                **how,
            )
        yield process
    finally:
        if process:
            with process:
                _interrupt(process)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Let `process`, if it runs yet, and its children end as Ctrl-C would, and see that they do."""
    if process.returncode is not None:
        return
    # Who ignores Ctrl-C, as a shell's background commands do, has children that ignore it.
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    try:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM if deaf else signal.SIGINT)
            process.wait(INTERRUPT_DEADLINE)
    finally:  # also where a second interrupt ends the waiting
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
