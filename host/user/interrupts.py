"""What stops a command: Ctrl-C, SIGTERM, a terminal that closes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class _Waiting:
    """Whether an interrupt is to wait, and whether one does."""

    held = came = False


def listen() -> None:
    """Take all three for KeyboardInterrupt, save what is ignored, as under nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let an interrupt come at the block's end: a child that is started has then a name here, by
    which it can be ended."""
    _Waiting.held, _Waiting.came = True, False
    try:
        yield
    finally:
        _Waiting.held = False
        if _Waiting.came:
            raise KeyboardInterrupt


def _interrupt(*_: object) -> None:
    if not _Waiting.held:
        raise KeyboardInterrupt
    _Waiting.came = True
