"""`python -m host COMMAND`: the Makefile's other half."""

from __future__ import annotations

import argparse
import ast
import importlib
import signal
import sys

from host.paths import ROOT
from host.terminal import StackError, say

# command: (module, what it does). The module's main() takes no arguments; settings are variables.
COMMANDS = {
    "demo": ("host.demo", "start the stack, train, promote, predict"),
    "projects": ("host.projects", "run every example project on the stack"),
    "up": ("host.up", "start the stack"),
    "down": ("host.down", "stop it, keep the data"),
    "clean": ("host.clean", "remove its data, after asking"),
    "gc": ("host.gc", "delete for good what users have deleted"),
    "backup": ("host.backup", "back up all data while the stack runs"),
    "backup-verify": ("host.backup_verify", "read a backup whole and check it"),
    "restore": ("host.restore", "put a backup back"),
    "doctor": ("host.doctor", "check this machine"),
    "test": ("host.test", "run all tests that this machine can"),
    "bench": ("host.bench", "compare tracking with MLflow's own server"),
    "bench-serving": ("host.bench_serving", "compare the model server with others"),
    "chaos": ("host.chaos", "bring faults about in a stack of its own, under load"),
    "lint": ("host.lint", "check all files"),
    "audit": ("host.audit", "ask for known holes in what the locks pin"),
    "licences": ("host.licences", "list the images' packages and licences"),
    "lock": ("host.lock", "pin every environment's packages anew"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m host", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, what) in COMMANDS.items():
        command = commands.add_parser(
            name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in sys.argv[1:2]:
            command.description = _described(module)
    module, _ = COMMANDS[parser.parse_args().command]
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, signal.default_int_handler)
    try:
        return importlib.import_module(module).main() or 0
    except StackError as error:
        print(f"mlflow-stack: {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def _described(module: str) -> str:
    """Its docstring, which names the variables that it takes; read without what it imports."""
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    return ast.get_docstring(ast.parse(text)) or ""


if __name__ == "__main__":
    sys.exit(main())
