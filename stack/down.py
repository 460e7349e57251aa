"""`make down`: stop this checkout's stack, however it was started, and keep its data."""

from stack import compose, local, modes, settings
from stack.terminal import say


def main() -> None:
    running = modes.running(settings.read())
    for mode in running:
        (local if mode == "local" else compose).down()
    say("stopped; the data is kept" if running else "nothing of this checkout is running")
