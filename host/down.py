"""`make down`: stop this checkout's stack, however it was started, and keep its data."""

from host import compose, local, modes, settings
from host.terminal import say


def main() -> None:
    found = modes.running(settings.read())
    for mode in found.modes:
        (local if mode == "local" else compose).down()
    if found.unasked:
        say(found.unasked)
    nothing = "nothing else" if found.unasked else "nothing"
    say("stopped; the data is kept" if found.modes else f"{nothing} of this checkout is running")
