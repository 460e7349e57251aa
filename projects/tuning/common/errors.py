"""What the user can mend is said in one line."""

import click


class BadInput(click.ClickException):
    """What the user gave cannot be used; the message says what and where, in one line."""


def first_line(error: Exception) -> str:
    """An exception's message in one line of bounded length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
