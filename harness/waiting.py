"""Waits for what servers do in their own time."""

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 10, what: str = "it came true") -> T:
    """The first true value of `condition`; fails the test after `timeout` seconds.

    An OSError (which includes refused connections, in httpx's and urllib's form too)
    counts as "not yet": most conditions ask a service that is still starting.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            if value := condition():
                return value
            last = value
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__.split(".")[0] != "httpx":
                raise
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what} (last: {last!r})")
        time.sleep(POLL_SECONDS)
