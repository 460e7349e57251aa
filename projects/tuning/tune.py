"""Search for a model's hyperparameters, register the best model, promote it if good enough.

    mlflow run projects/tuning -P trials=40

A search that was stopped or killed goes on where it was with the same command. What the user gave
wrong is said in one line; the run is then FAILED and nothing is registered.
"""

import signal
import sys

import click

from common.command_line import SEED, SHARE, Whole, plain, releasing, run

TRIALS = Whole(1, 1000)
WORKERS = Whole(1, 64)
STOPS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; what Docker sends


@click.command(context_settings={"show_default": True})
@click.option("--data", default="data/penguins.csv", help="CSV file or URL.")
@click.option("--target", default="body_mass_g", help="Column to predict: numbers or labels.")
@click.option("--trials", type=TRIALS, default=20, help="Trials of the search, in all.")
@click.option("--workers", type=WORKERS, default=2, help="Trials at once.")
@click.option("--study", callback=plain, default="auto", help="Name of the search to go on with.")
@click.option("--test-size", type=SHARE, default=0.25, help="Rows to hold out.")
@click.option("--seed", type=SEED, default=2, help="Which rows to hold out, what to try first.")
@releasing("penguins")
def main(**options: str | float) -> None:
    """Search on DATA, register the best as MODEL_NAME, and move ALIAS to it if good enough."""
    from trial_process import prepare

    prepare()
    from tuning import Settings, tune  # seconds of imports, not needed to refuse an option

    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a script
            signal.signal(number, stop)
    click.echo(tune(Settings(**options)))


def stop(_number: int, _frame: object) -> None:
    """End in order, and undisturbed: `mlflow run` sends a second signal after Ctrl-C."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run(main))
