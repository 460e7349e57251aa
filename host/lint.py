"""Where `host.commands.lint` was: for who still calls it here."""

from host.commands.lint import run

__all__ = ["run"]
