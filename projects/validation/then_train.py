"""Validate a CSV file and, only if it passes, train the project ../wine on it.

    mlflow run projects/validation -e train -P filename=../wine/data/wine.csv

Training is a run of its own, below the run that validates.
"""

import sys

import click

from common.command_line import Whole, releasing, run

FINDINGS = Whole(0, 10**12)
MANAGER = click.Choice(["uv", "virtualenv", "local"])


@click.command(context_settings={"show_default": True})
@click.option("--filename", required=True, help="CSV file or URI (http, s3, mlflow-artifacts).")
@click.option("--max-errors", type=FINDINGS, default=1, help="Findings that are tolerated.")
@click.option("--schema", default="none", help="Schema to enforce: YAML or JSON file, or URI.")
@click.option("--target", default="cultivar", help="Column to predict; all others are numbers.")
@releasing("wine")
@click.option("--env-manager", type=MANAGER, default="uv", help="What training runs in.")
def main(**options: str | int) -> None:
    """Validate FILENAME, then train MODEL_NAME on it."""
    from chain import Settings, validate_then_train  # seconds of imports

    validate_then_train(Settings(**options))


if __name__ == "__main__":
    sys.exit(run(main))
