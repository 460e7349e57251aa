"""`make down`: stop this checkout's stack, however it was started, and keep its data."""

from host.modes import choice
from host.user import settings
from host.user.options import Options
from host.user.terminal import say


def main(options: Options) -> None:  # noqa: ARG001 - takes none
    """Stop it in each mode in which it runs."""
    selection = choice.running(settings.read())
    for mode in selection.modes:
        mode.down()
    if selection.unasked:
        say(selection.unasked)
    nothing = "nothing else" if selection.unasked else "nothing"
    stopped = "stopped; the data is kept"
    say(stopped if selection.modes else f"{nothing} of this checkout is running")
