"""Train a classifier on a table, register it, and promote it if it is good enough.

    mlflow run projects/wine -P C=0.1

Everything is recorded by the tracking server that MLFLOW_TRACKING_URI names. What the user gave
wrong is said in one line; the run is then FAILED and nothing is registered.
"""

import sys

import click

from common.command_line import SEED, SHARE, STRENGTH, releasing, run


@click.command(context_settings={"show_default": True})
@click.option("--data", default="data/wine.csv", help="CSV file or URL.")
@click.option("--target", default="cultivar", help="Column to predict; all others are numbers.")
@click.option("--C", "C", type=STRENGTH, default=1.0, help="Higher fits closer.")
@click.option("--test-size", type=SHARE, default=0.25, help="Rows to hold out.")
@click.option("--seed", type=SEED, default=2, help="Which rows to hold out.")
@releasing("wine")
def main(**options: str | float) -> None:
    """Train on DATA, register MODEL_NAME, and move ALIAS to it if it is good enough."""
    from training import Settings, train  # seconds of imports, not needed to refuse an option

    click.echo(train(Settings(**options)))


if __name__ == "__main__":
    sys.exit(run(main))
