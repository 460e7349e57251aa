"""Train a classifier on a table, register it, and promote it if it is good enough.

    mlflow run projects/wine -P C=0.1

Everything is recorded by the tracking server that MLFLOW_TRACKING_URI names. What the user gave
wrong is said in one line; the run is then FAILED and nothing is registered.
"""

import sys

import click

from common.command_line import Number, Whole, free_alias, plain, run

STRENGTH = Number(0, 1e6, min_open=True)
SHARE = Number(0, 1, min_open=True, max_open=True)
SEED = Whole(0, 2**32)
MODE = click.Choice(["auto", "always", "never"])


@click.command(context_settings={"show_default": True})
@click.option("--data", default="data/wine.csv", help="CSV file or URL.")
@click.option("--target", default="cultivar", help="Column to predict; all others are numbers.")
@click.option("--C", "C", type=STRENGTH, default=1.0, help="Higher fits closer.")
@click.option("--test-size", type=SHARE, default=0.25, help="Rows to hold out.")
@click.option("--seed", type=SEED, default=2, help="Which rows to hold out.")
@click.option("--model-name", callback=plain, default="wine", help="Name in the registry.")
@click.option(
    "--alias", callback=free_alias, default="champion", help="What the model server follows."
)
@click.option("--promote", type=MODE, default="auto", help="auto: if at least as good.")
def main(**options: str | float) -> None:
    """Train on DATA, register MODEL_NAME, and move ALIAS to it if it is good enough."""
    from training import Settings, train  # seconds of imports, not needed to refuse an option

    click.echo(train(Settings(**options)))


if __name__ == "__main__":
    sys.exit(run(main))
