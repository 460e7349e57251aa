"""Entry point. Every worker process imports this module again, so it stays free of imports."""

import sys


def main() -> int:
    """Run the command line."""
    if sys.argv[1:2] == ["healthy"]:  # every few seconds: so nothing else is imported
        from model_server.healthy import healthy

        return healthy(sys.argv[2:])
    from model_server.command import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
