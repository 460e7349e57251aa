"""How long ago something must have been deleted, as `mlflow gc --older-than` takes it."""

from __future__ import annotations

import re
from datetime import timedelta

from tracking_server.errors import RefusedError

AGE = re.compile(
    r"(?:(?P<days>\d+(?:\.\d+)?)d)?(?:(?P<hours>\d+(?:\.\d+)?)h)?"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)m)?(?:(?P<seconds>\d+(?:\.\d+)?)s)?"
)


class Age:
    """An age as it was given, `30d`, `12h` or `1d12h30m5s`, and in milliseconds; "" is any."""

    def __init__(self, text: str) -> None:
        """Raises RefusedError if the text is no age, or more than anything can be old."""
        self.text = text
        match = AGE.fullmatch(text)
        if match is None:
            raise RefusedError(f"expected an age like 30d, 12h or 1d12h, found {text!r}")
        parts = {unit: float(number) for unit, number in match.groupdict().items() if number}
        try:
            self.milliseconds = int(timedelta(**parts).total_seconds() * 1000)
        except OverflowError:
            raise RefusedError(f"expected an age like 30d, found {text!r}: too long") from None
