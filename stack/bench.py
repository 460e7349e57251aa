"""`make bench`: the comparisons of benchmarks/, with ARGS handed on."""

import os
import shlex
import signal
import subprocess

from stack import environment
from stack.paths import ROOT


def main() -> int:
    environment.ensure(environment.DEV)
    command = [environment.PYTHON, "-m", "benchmarks", *shlex.split(os.environ.get("ARGS", ""))]
    # Ctrl-C is for the benchmarks, which stop what they started: wait for that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment.clean_variables(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        return process.wait()
