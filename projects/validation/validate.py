"""Validate a CSV file before anyone trains on it.

    mlflow run projects/validation -P filename=data/carriage.csv

Findings are printed and, unless `log` is false, recorded by the tracking server that
MLFLOW_TRACKING_URI names. With more findings than `max_errors` the run is FAILED.
"""

import sys

import click

from common.command_line import FLAG, Whole, run

FINDINGS = Whole(0, 10**12)


@click.command(context_settings={"show_default": True})
@click.option("--filename", required=True, help="CSV file or URI (http, s3, mlflow-artifacts).")
@click.option("--max-errors", type=FINDINGS, default=1, help="Findings that are tolerated.")
@click.option("--log", type=FLAG, default=True, help="Record the run; false needs no server.")
@click.option("--schema", default="none", help="Schema to enforce: YAML or JSON file, or URI.")
@click.option("--save-schema", default="none", help="File for a schema learned from this file.")
def main(**options: str | int | bool) -> None:
    """Look for what is wrong with FILENAME, and fail if that is more than MAX_ERRORS."""
    from validating import Settings, validate  # seconds of imports, not needed to refuse an option

    validate(Settings(**options))


if __name__ == "__main__":
    sys.exit(run(main))
