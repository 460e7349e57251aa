"""The command line: `tracking-server [COMMAND]`; `tracking-server --help` names them."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status. What an operator must mend is one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["healthy"]:  # every few seconds: so nothing else is imported
        from tracking_server.healthy import healthy

        return healthy()

    from tracking_server import garbage

    garbage.ignore()
    from tracking_server.errors import RefusedError, UnreachableError
    from tracking_server.logins import command as logins_command

    parser = argparse.ArgumentParser("tracking-server", description="MLflow's tracking server")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve until stopped (the default)")
    migrate = commands.add_parser("migrate", help="bring the database to this version's schema")
    migrate.add_argument("--try-bucket", action="store_true", help="write to the bucket before")
    restore = commands.add_parser("restore", help="replace a database by its backup")
    restore.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="of TRACKING_BACKUPS: what is in it says whether it is MLflow's data or its logins",
    )
    adopt = commands.add_parser("adopt", help="reach moved artifacts through this server")
    adopt.add_argument("root", help="what their old addresses begin with: s3://BUCKET/PREFIX")
    commands.add_parser("addresses", help="list rows whose addresses would be refused today")
    clean = commands.add_parser("gc", help="delete for good what users have deleted")
    clean.add_argument("--older-than", default="", metavar="AGE", help="deleted before: 30d, 12h")
    clean.add_argument("--dry-run", action="store_true", help="show what there is, and end")
    clean.add_argument("--yes", action="store_true", help="do not ask")
    logins_command.add_parsers(commands)
    commands.add_parser("healthy", help="ask the running server whether it is ready")
    parsed = parser.parse_args(arguments)

    # As gunicorn writes it, so that a log reads as one.
    logging.basicConfig(
        level=logging.WARNING if "do" in parsed else logging.INFO,
        format="%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
        datefmt="[%Y-%m-%d %H:%M:%S %z]",
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        _run(parsed)
    except (RefusedError, UnreachableError) as error:
        print(f"tracking-server: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tracking-server: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not (lost := _of_database(error)):
            raise
        print(f"tracking-server: the database was lost: {lost}; try again", file=sys.stderr)
        return 1
    return 0


def _of_database(error: BaseException | None) -> str:
    """What SQLAlchemy says of a database that is gone, also where MLflow says it in its own
    words; "" of all else."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    while error and not isinstance(error, (InterfaceError, OperationalError)):
        error = error.__cause__
    return str(error).splitlines()[0] if error else ""


def _run(parsed: argparse.Namespace) -> None:
    from tracking_server import garbage, secret_files, settings, variables
    from tracking_server.backend import migrate
    from tracking_server.logins import accounts
    from tracking_server.logins import command as logins_command

    loaded = settings.load()
    secret_files.check(loaded)
    variables.apply(loaded)
    if parsed.command not in (None, "serve", "migrate"):
        # Its words on engines, pools and lost databases are for a server's log.
        os.environ["MLFLOW_LOGGING_LEVEL"] = "CRITICAL"
    if parsed.command == "migrate":
        if parsed.try_bucket and loaded.on_s3:
            migrate.try_bucket(loaded)
        migrate.migrate(loaded)
        if loaded.logins:
            accounts.migrate(loaded)
    elif parsed.command in ("user", "permission"):
        logins_command.run(loaded, parsed)
    elif parsed.command == "restore":
        migrate.restore(loaded, parsed.file)
    elif parsed.command == "adopt":
        from tracking_server.backend.adopt import adopt

        adopt(loaded, parsed.root)
    elif parsed.command == "addresses":
        from tracking_server.addresses import command as addresses

        garbage.look_for()
        addresses.run(loaded)
    elif parsed.command == "gc":
        from tracking_server.gc.age import Age

        older_than = Age(parsed.older_than)  # before MLflow is imported, which takes seconds
        from tracking_server.gc import command as clean_up

        garbage.look_for()
        clean_up.run(loaded, older_than, dry_run=parsed.dry_run, yes=parsed.yes)
    else:
        migrate.check(loaded)
        if loaded.logins:
            accounts.check(loaded)
        from tracking_server.server import serve

        serve(loaded)


if __name__ == "__main__":
    sys.exit(main())
