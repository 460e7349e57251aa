"""When Python looks for garbage: there is none in what is imported, and looking for it takes a
quarter of the time."""

import gc


def ignore() -> None:
    """Look for none, until `look_for` is called."""
    gc.disable()


def look_for() -> None:
    """Look for it from here on, but never in what is there already: in a worker, that would copy
    the pages that it shares with its parent."""
    gc.freeze()
    gc.enable()
