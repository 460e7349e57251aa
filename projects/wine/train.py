"""Train a classifier on a table, register it, and promote it if it is good enough.

    mlflow run projects/wine -P C=0.1

Everything is recorded by the tracking server that MLFLOW_TRACKING_URI names. What the user gave
wrong is said in one line; the run is then FAILED and nothing is registered.
"""

import os
import re
import sys
from math import isnan

import click


class Number(click.FloatRange):
    """A number within bounds; nan is none."""

    name = "number"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the number and check the bounds."""
        number = super().convert(value, param, ctx)
        return self.fail(f"{value!r} is not a number.", param, ctx) if isnan(number) else number


class Whole(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"


def plain(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Refuse names that would need quoting in a URL."""
    if not re.fullmatch(r"[\w.-]+", value, re.ASCII):
        raise click.BadParameter(f"{value!r} is not all letters, digits, '-', '_' and '.'.")
    return value


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
@click.option("--alias", callback=plain, default="champion", help="What the model server follows.")
@click.option("--promote", type=MODE, default="auto", help="auto: if at least as good.")
def main(**options: str | float) -> None:
    """Train on DATA, register MODEL_NAME, and move ALIAS to it if it is good enough."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # printed below
    from training import Settings, train  # seconds of imports, not needed to refuse an option

    click.echo(train(Settings(**options)))


def run() -> int:
    """Run the command line; an error that the user can mend is one line."""
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return 1
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
