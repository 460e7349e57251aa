"""Real processes, each with a log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from harness.waiting import wait_until
from host.paths import ROOT

T = TypeVar("T")


def clean_environment(**variables: str | Path) -> dict[str, str]:
    """This process's environment, with the services importable and `variables` on top.

    Pytest's own variables are left out, since MLflow behaves differently when it sees them; those
    that `free_port` goes by stay.
    """
    sources = [ROOT / "services" / "tracking", ROOT / "services" / "serving"]
    path = os.pathsep.join([*map(str, sources), os.environ.get("PYTHONPATH", "")])
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") or name.startswith("PYTEST_XDIST_WORKER")
    }
    added = {name: str(value) for name, value in variables.items()}
    return {
        **inherited,
        "PYTHONPATH": path.rstrip(os.pathsep),
        "PYTHONUNBUFFERED": "1",
        **added,
    }


def run(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a user would who types nothing; stdout has stderr in it."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


class Process:
    """A real process in its own process group, with stdout and stderr in one log file."""

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path
    ) -> None:
        self.command = [str(part) for part in command]
        self.environment = dict(environment)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        if self.running():
            raise AssertionError(f"already running: {self.command[0]}")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Jobs that a shell starts in the background are deaf to Ctrl-C, and their children.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def text(self) -> str:
        """Everything that it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait(self, timeout: float) -> int:
        """Its exit status, once it has ended by itself."""
        assert self._process is not None, "not started"
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {timeout} s: {self.command}\n{self.text()}"
            ) from None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, timeout: float = 20) -> int | None:
        """Ask it to stop, then kill what is left of its group; its exit status."""
        if self._process is None:
            return None
        if self.running():
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()
        return self._process.wait()

    def kill(self) -> None:
        """Kill the whole process group at once, as a lost machine would."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_for(self, condition: Callable[[], T], timeout: float, what: str) -> T:
        """`wait_until`, but fails at once, with the log, when the process ends first."""

        def alive_and_true() -> T:
            if not self.running():
                raise AssertionError(f"ended while waiting for {what}:\n{self.text()}")
            return condition()

        try:
            return wait_until(alive_and_true, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
