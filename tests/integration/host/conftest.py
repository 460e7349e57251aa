"""A checkout of its own for each module: the project's files, other ports, no Docker."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.processes import clean_environment
from host.paths import ROOT
from host.processes.supervisor import MARK

MADE = shutil.ignore_patterns(".git", ".venv", ".local", "__pycache__", ".*_cache", "tests", ".env")


class Checkout:
    """A copy of the project in which `make` is run as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracking_port, self.serving_port = free_port(), free_port()
        shutil.copytree(ROOT, folder, ignore=MADE)
        self.set(TRACKING_PORT=self.tracking_port, SERVING_PORT=self.serving_port)

    @property
    def tracking_url(self) -> str:
        return f"http://127.0.0.1:{self.tracking_port}"

    @property
    def serving_url(self) -> str:
        return f"http://127.0.0.1:{self.serving_port}"

    def set(self, **settings) -> None:
        lines = (f"{name}={value}\n" for name, value in {"STACK_MODE": "local", **settings}.items())
        (self.folder / ".env").write_text("".join(lines))

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """`make ARGUMENTS` in a process group of its own, without a terminal."""
        environment = clean_environment(**variables)
        del environment["PYTHONPATH"]
        return subprocess.Popen(
            ["make", "--no-print-directory", f"PYTHON={sys.executable}", *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell starts background jobs deaf to Ctrl-C, and all their children inherit it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def make(self, *arguments: str, status: int = 0, timeout: float = 300, **variables: str) -> str:
        """The output of `make ARGUMENTS`, which must end with `status`."""
        with self.start(*arguments, **variables) as process:
            output = process.communicate(timeout=timeout)[0]
        assert process.returncode == status, output
        return output

    def pid(self, service: str) -> int:
        """The process of a service that runs."""
        control = [self.folder / ".venv" / "bin" / "supervisorctl", "-c", "supervisord.conf"]
        said = subprocess.check_output(
            [*control, "pid", service], cwd=self.folder / ".local", text=True, timeout=60
        )
        return int(said)

    def processes(self) -> list[int]:
        """Everything that runs on this checkout's behalf."""
        mark = f"{MARK}={self.folder / '.local'}".encode()
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    pids.append(int(process.name))
            except OSError:
                continue  # it has ended, or is another user's
        return pids


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout in a folder too deep for a Unix socket."""
    folder = tmp_path_factory.mktemp("checkout") / ("deep" * 20)
    checkout = Checkout(folder)
    yield checkout
    if (folder / ".local").exists():
        checkout.make("clean", YES="1")
    assert checkout.processes() == []
