"""The life of registered models: create, register, compare, promote, roll back, copy, delete.

    python registry.py promote wine 3 --data held_out.csv --target cultivar

The registry is that of the tracking server that MLFLOW_TRACKING_URI names. A VERSION is a number
or an alias. What is wrong is said in one line, with exit status 1.
"""

import os
import sys
from collections.abc import Callable

import click

from common.command_line import FLAG, Number, free_alias, plain, run

QUIET = {"MLFLOW_LOGGING_LEVEL": "ERROR", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
"""Read when MLflow is imported. What this says is all there is to say."""


def filled(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an empty name."""
    if not value.strip():
        raise click.BadParameter(f"{parameter.human_readable_name} is empty.")
    return value


class Limit(click.ParamType):
    """A number, or nothing."""

    name = "number"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Parse the number; empty is none, since MLproject cannot leave an option out."""
        return None if value == "" else Number().convert(value, param, ctx)


class InOrder(click.Group):
    """Lists its commands as they come in life."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Names of the commands, as below."""
        return list(self.commands)


def say(work: Callable[..., str], *arguments: object, measures: bool = False) -> None:
    """Do the work, and say what came of it.

    The work and `done` are imported where they are needed: MLflow takes seconds, which help and
    refusing an option do not.
    """
    from session import done

    click.echo(done(work, *arguments, measures=measures))


def argument(name: str) -> Callable:
    """An argument that may not be empty."""
    return click.argument(name, callback=filled)


NAME, VERSION, KEY = argument("name"), argument("version"), argument("key")
NEW_NAME = click.argument("name", callback=plain)
NEW_ALIAS = click.argument("alias", callback=free_alias)
OF_VERSION = click.option("--version", default="", help="Of this version, not of the model.")
ALIAS = click.option("--alias", callback=free_alias, default="champion", help="The alias to move.")
DATA = click.option("--data", required=True, help="CSV file or URL.")
TARGET = click.option("--target", required=True, help="Column with the right answers.")
FORCE = click.option(
    "--force",
    type=FLAG,
    is_flag=False,
    flag_value="true",
    default=False,
    help="Also what is served or carries an alias.",
)


@click.group(cls=InOrder, context_settings={"show_default": True}, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """The life of registered models, on the server that MLFLOW_TRACKING_URI names.

    A VERSION is a number or an alias.
    """
    for setting, value in QUIET.items():
        os.environ.setdefault(setting, value)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command("list")
def list_() -> None:
    """Show all models."""
    from listing import all_models

    say(all_models)


@main.command()
@NAME
@click.argument("version", default="")
def show(name: str, version: str) -> None:
    """Show a model and its versions, or one VERSION."""
    from listing import one_model, one_version

    if version:
        say(one_version, name, version)
    else:
        say(one_model, name)


@main.command()
@NEW_NAME
@click.option("--description", default="", help="What the model is for.")
def create(name: str, description: str) -> None:
    """Register a name, without versions."""
    from lifecycle import create

    say(create, name, description)


@main.command()
@NAME
@click.argument("text")
@OF_VERSION
def describe(name: str, text: str, version: str) -> None:
    """Set the description."""
    from lifecycle import describe

    say(describe, name, text, version)


@main.command()
@NAME
@KEY
@click.argument("value")
@OF_VERSION
def tag(name: str, key: str, value: str, version: str) -> None:
    """Set a tag."""
    from lifecycle import tag

    say(tag, name, key, value, version)


@main.command()
@NAME
@KEY
@OF_VERSION
def untag(name: str, key: str, version: str) -> None:
    """Remove a tag."""
    from lifecycle import untag

    say(untag, name, key, version)


@main.command()
@NEW_NAME
@argument("run")
@click.option("--model", default="model", help="Its name in the run.")
def register(name: str, run: str, model: str) -> None:
    """Make a model that a run logged the next version."""
    from lifecycle import register

    say(register, name, run, model)


@main.command()
@NAME
@NEW_ALIAS
@VERSION
def alias(name: str, alias: str, version: str) -> None:
    """Give a version an alias, without comparison."""
    from moves import set_alias

    say(set_alias, name, alias, version)


@main.command()
@NAME
@argument("alias")
def unalias(name: str, alias: str) -> None:
    """Take an alias away."""
    from moves import remove_alias

    say(remove_alias, name, alias)


@main.command()
@NAME
@argument("first")
@argument("second")
@DATA
@TARGET
@click.option(
    "--kind",
    type=click.Choice(["auto", "classifier", "regressor"]),
    default="auto",
    help="auto: by the values of the target.",
)
def compare(name: str, first: str, second: str, data: str, target: str, kind: str) -> None:
    """Measure two versions on the same rows."""
    from measuring import compare

    say(compare, name, first, second, data, target, kind, measures=True)


@main.command()
@NAME
@VERSION
@ALIAS
@DATA
@TARGET
@click.option("--metric", default="accuracy_score", help="The metric that decides.")
@click.option("--min", "limit", type=Limit(), default="", help="The worst value to promote.")
@click.option(
    "--promote",
    "mode",
    type=click.Choice(["auto", "always"]),
    default="auto",
    help="auto: if at least as good.",
)
def promote(
    name: str,
    version: str,
    alias: str,
    data: str,
    target: str,
    metric: str,
    limit: float | None,
    mode: str,
) -> None:
    """Give a version the alias if it is good enough.

    That is: at least as good as the version that has it, on the same rows, and not worse than
    --min. Otherwise the exit status is 1.
    """
    from measuring import promote

    say(promote, name, version, alias, data, target, metric, limit, mode, measures=True)


@main.command()
@NAME
@ALIAS
def rollback(name: str, alias: str) -> None:
    """Give the alias back to the version that had it before."""
    from moves import roll_back

    say(roll_back, name, alias)


@main.command()
@argument("model")
@DATA
@click.option("--output", default="", help="CSV file to write; empty: print.")
def predict(model: str, data: str, output: str) -> None:
    """Let a version predict rows.

    MODEL is such as models:/wine@champion or models:/wine/3.
    """
    from measuring import predict

    say(predict, model, data, output)


@main.command()
@argument("source")
@click.argument("target", callback=plain)
def copy(source: str, target: str) -> None:
    """Make a version the next one of another name.

    SOURCE is such as models:/wine@champion or models:/wine/3, TARGET a name.
    """
    from lifecycle import copy

    say(copy, source, target)


@main.command()
@NAME
@VERSION
@FORCE
def delete(name: str, version: str, force: bool) -> None:
    """Delete a version."""
    from lifecycle import delete_version

    say(delete_version, name, version, force)


@main.command()
@NAME
@FORCE
def delete_model(name: str, force: bool) -> None:
    """Delete a model with all its versions."""
    from lifecycle import delete_model

    say(delete_model, name, force)


if __name__ == "__main__":
    sys.exit(run(main))
