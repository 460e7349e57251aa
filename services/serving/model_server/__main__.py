"""Entry point. Every worker process imports this module again, so it stays free of imports."""

import sys


def main() -> int:
    """Run the command line."""
    from model_server.command import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
