"""Options with bounds, and command lines that end in one line when something is wrong."""

import os
import re
from collections.abc import Callable
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


class Flag(click.ParamType):
    """`true` or `false`, in so many words, since MLproject has no flags."""

    name = "true|false"

    def convert(
        self, value: str | bool, param: click.Parameter | None, ctx: click.Context | None
    ) -> bool:
        """Parse the word, in upper or lower case."""
        word = str(value).lower()
        return (
            word == "true"
            if word in ("true", "false")
            else self.fail(f"{value!r} is not true or false.", param, ctx)
        )


FLAG = Flag()
STRENGTH = Number(0, 1e6, min_open=True)
SHARE = Number(0, 1, min_open=True, max_open=True)
SEED = Whole(0, 2**32)
MODE = click.Choice(["auto", "always", "never"])


def plain(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Refuse names that would need quoting in a URL."""
    if not re.fullmatch(r"[\w.-]+", value, re.ASCII):
        raise click.BadParameter(f"{value!r} is not all letters, digits, '-', '_' and '.'.")
    return value


def free_alias(context: click.Context, option: click.Parameter, value: str) -> str:
    """Refuse names that MLflow keeps for itself, and those that `plain` refuses."""
    if re.fullmatch(r"latest|v\d+", value, re.IGNORECASE):
        raise click.BadParameter(f"{value!r} is one of the names that MLflow keeps for itself.")
    return plain(context, option, value)


def releasing(model_name: str, passes: str = "if at least as good") -> Callable:
    """Options of whatever registers a model: its name, its alias, and when the alias moves."""
    options = (
        click.option(
            "--model-name", callback=plain, default=model_name, help="Name in the registry."
        ),
        click.option(
            "--alias",
            callback=free_alias,
            default="champion",
            help="What the model server follows.",
        ),
        click.option("--promote", type=MODE, default="auto", help=f"auto: {passes}."),
    )

    def add(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def run(command: click.Command) -> int:
    """Run a command line and return its exit status; an error that the user can mend is one line.

    Whatever imports MLflow does so inside the command: that takes seconds, which refusing an
    option does not need. What a command returns is the status; nothing is 0.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # projects print it
    try:
        return command.main(standalone_mode=False) or 0
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        click.echo(f"error: {message}", err=True)
        return 1
    except click.Abort:
        return 130
