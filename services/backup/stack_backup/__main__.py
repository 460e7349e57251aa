"""`python -m stack_backup COMMAND`: what `make backup` and `make restore` run in a container."""

import argparse
import os
import signal
import sys

from stack_backup import commands, settings
from stack_backup.errors import RefusedError


def main(arguments: list[str]) -> int:
    """Returns the exit status; what a user must mend is one line on standard error."""
    parser = argparse.ArgumentParser("stack_backup", description="backup and restore of the stack")
    parser.add_argument("command", choices=sorted(commands.ALL))
    parser.add_argument("snapshot", nargs="?", default="", help="the newest if none is named")
    parser.add_argument("--shown", default="", help="the repository's place as the user knows it")
    parsed = parser.parse_args(arguments)
    os.umask(0o007)  # the group's files: the user is whoever called `make`
    signal.signal(signal.SIGTERM, _stop)
    try:
        read = settings.read()
        commands.ALL[parsed.command](read, parsed.shown or read.repository, parsed.snapshot)
    except RefusedError as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as fault:
        print(f"failed: {fault.strerror}: {fault.filename}", file=sys.stderr)
        return 1
    return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
