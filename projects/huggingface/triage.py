"""Train a model that sorts customers' sentences, register it, and promote it if good enough.

    mlflow run projects/huggingface

Everything is recorded by the tracking server that MLFLOW_TRACKING_URI names. What the user gave
wrong is said in one line; the run is then FAILED and nothing is registered.
"""

import os
import sys

import click

from common.command_line import SEED, SHARE, Number, releasing, run


class Strength(Number):
    """`auto`, or a number above 0."""

    name = "auto|number"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | float:
        """Parse the word or the number."""
        return value if value == "auto" else super().convert(value, param, ctx)


STRENGTH = Strength(0, 1e6, min_open=True)


@click.command(context_settings={"show_default": True})
@click.option("--data", default="data/feedback.csv", help="CSV file or URL: text, label, review.")
@click.option("--C", "C", type=STRENGTH, default="auto", help="Higher fits closer.")
@click.option("--test-size", type=SHARE, default=0.25, help="Share of the reviews to hold out.")
@click.option("--seed", type=SEED, default=1, help="Which reviews to hold out.")
@releasing("triage")
def main(**options: str | float) -> None:
    """Train on DATA, register MODEL_NAME, and move ALIAS to it if it is good enough."""
    if not sys.stderr.isatty():  # a log has no use for bars
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from triage_training import Settings, train  # seconds of imports, not needed to refuse options

    click.echo(train(Settings(**options)))


if __name__ == "__main__":
    sys.exit(run(main))
