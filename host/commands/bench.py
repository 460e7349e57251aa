"""`make bench`: the comparisons of benchmarks/, with ARGS handed on."""

import shlex
import signal
import subprocess
from pathlib import Path

from host.paths import ROOT
from host.python import environment
from host.user.options import Options
from host.user.terminal import CommandError


def main(options: Options) -> int:
    """Measure the usual parts; the exit status."""
    return run(options)


def run(options: Options, *parts: str, package: str = "benchmarks") -> int:
    """Measure some parts, or the usual ones; the exit status."""
    try:
        arguments = shlex.split(options.args)
    except ValueError as error:
        raise CommandError(f"ARGS={options.args}: {error}") from None
    environment.ensure(environment.DEV)
    command: list[str | Path] = [environment.PYTHON, "-m", package, *parts, *arguments]
    # Ctrl-C is for the package, which stops what it started: wait for that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment.clean_variables(), "FULL": "1" if options.full else ""},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # of a signal that make alone has got
            process.terminate()
            process.wait()
            raise
