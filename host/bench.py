"""`make bench`: the comparisons of benchmarks/, with ARGS handed on."""

import os
import shlex
import signal
import subprocess

from host import environment
from host.paths import ROOT


def main() -> int:
    return run()


def run(*parts: str, package: str = "benchmarks") -> int:
    """Measure some parts, or the usual ones; the exit status."""
    environment.ensure(environment.DEV)
    arguments = shlex.split(os.environ.get("ARGS", ""))
    command = [environment.PYTHON, "-m", package, *parts, *arguments]
    # Ctrl-C is for the package, which stops what it started: wait for that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment.clean_variables(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        return process.wait()
