"""`python -m host COMMAND`: the Makefile's other half."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys

from host.paths import ROOT
from host.user import interrupts, options
from host.user.terminal import CommandError, say

# Each is a module of host/commands, whose main() takes what the user says with it.
COMMANDS = {
    "demo": "start the stack, train, promote, predict",
    "projects": "run every example project on the stack",
    "up": "start the stack",
    "down": "stop it, keep the data",
    "clean": "remove its data, after asking",
    "gc": "delete for good what users have deleted",
    "backup": "back up all data while the stack runs",
    "backup-verify": "read a backup whole and check it",
    "restore": "put a backup back",
    "doctor": "check this machine",
    "test": "run all tests that this machine can",
    "bench": "compare tracking with MLflow's own server",
    "bench-serving": "compare the model server with others",
    "chaos": "bring faults about in a stack of its own, under load",
    "lint": "check all files",
    "audit": "ask for known holes in what the locks pin",
    "licences": "list the images' packages and licences",
    "lock": "pin every environment's packages anew",
}


def main() -> int:
    """Run the command; what the user can mend is one line, and status 1."""
    parser = argparse.ArgumentParser(prog="python -m host", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(
            name, help=what, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in sys.argv[1:2]:
            command.description = _described(name)
    name = parser.parse_args().command
    interrupts.listen()
    try:
        chosen = options.read(os.environ)
        return importlib.import_module(f"host.commands.{_module(name)}").main(chosen) or 0
    except CommandError as error:
        print(f"mlflow-stack: {error}", file=sys.stderr, flush=True)
        return 1
    except PermissionError as error:
        whose = f"{error.filename}: {error.strerror}: is it another user's? Call make as that one"
        print(f"mlflow-stack: {whose}, or chown it", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130


def _module(command: str) -> str:
    return command.replace("-", "_")


def _described(command: str) -> str:
    """Its docstring, which names the variables that it takes; read without what it imports."""
    text = (ROOT / "host" / "commands" / f"{_module(command)}.py").read_text()
    return ast.get_docstring(ast.parse(text)) or ""


if __name__ == "__main__":
    sys.exit(main())
