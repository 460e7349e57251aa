"""The values that a request brought, to be kept out of what is told and logged about it.

Names of columns and params stay, and so do single digits and numbers that count the request's own
rows and columns: `X has 3 features` helps, and tells nothing.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import itertools
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import numpy as np
import pandas as pd
from mlflow.pyfunc import scoring_server

from model_server.processes.wire import V2, WARM_UP, Request

MAX_VALUES = 20_000
"""Values of one request; with more, nothing is told of an exception but its type."""
PIECE = 12
"""Characters of a value that give it away where its end is cut off."""
LEAST = 3
"""Characters of a part of a value that give it away in quotes, or of a value without them."""
LEFT_OUT = "…"

_QUOTED = re.compile(r"""(?<!\w)(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`([^`]*)`)(?!\w)""")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
_GROUPED = re.compile(r"(?<![\w.,])[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,])")
_LONG = re.compile(r"\d{6,}")
"""So many give a number away also within a word: `user_902817`."""
_WORD = re.compile(rf"\w{{{LEAST},}}")
_COLUMNS = ("dataframe_split", "columns")


class TooManyValuesError(Exception):
    """A request has too many values, or values that nobody can read."""


class Sent:
    """The values of one request. Raises TooManyValuesError."""

    def __init__(self, request: Request) -> None:
        self._texts: set[str] = set()
        self._numbers: set[float] = set()
        self._names: set[str] = set()
        self._counts: set[int] = set()
        try:
            for count, value in enumerate(self._values(request)):
                if count == MAX_VALUES:
                    raise TooManyValuesError
                self._take(value)
        except TooManyValuesError:
            raise
        except Exception:
            raise TooManyValuesError from None
        self._sorted = sorted(self._numbers)
        self._texts -= self._names
        self._all = "\0".join(self._texts)
        self._words = set(_WORD.findall(self._all)) - self._names

    def left_out_of(self, text: str) -> str:
        """`text`, which is one line, with a sign in place of each value."""
        text = _QUOTED.sub(self._quoted, text)
        for value in self._texts:
            text = _without(text, value)
        head, colon, tail = text.rpartition(": ")
        text = head + colon + _WORD.sub(self._word, tail) if colon else text
        text = _GROUPED.sub(lambda match: self._digits(match[0].replace(",", ""), match), text)
        text = _LONG.sub(lambda match: self._digits(match[0], match), text)
        return _NUMBER.sub(self._number, text)

    def _quoted(self, match: re.Match[str]) -> str:
        """A quotation may be of a part, or cut in the middle."""
        quotation: str = match[0]
        inner = quotation[1:-1]
        pieces = [piece for piece in re.split(r"\.\.\.|…", inner) if piece]
        if inner not in self._names and pieces and all(map(self._is_part, pieces)):
            return quotation[0] + LEFT_OUT + quotation[0]
        return quotation

    def _is_part(self, piece: str) -> bool:
        return piece in self._texts or (len(piece) >= LEAST and piece in self._all)

    def _word(self, match: re.Match[str]) -> str:
        word: str = match[0]
        return LEFT_OUT if word in self._words else word

    def _number(self, match: re.Match[str]) -> str:
        text: str = match[0]
        digits = re.sub(r"\D", "", re.split("[eE]", text)[0])
        if len(digits) < 2 or ("." not in text and abs(float(text)) in self._counts):
            return text
        return LEFT_OUT if self._is_sent(text) else text

    def _digits(self, text: str, match: re.Match[str]) -> str:
        return LEFT_OUT if self._is_sent(text) else str(match[0])

    def _is_sent(self, text: str) -> bool:
        """Whether a number came as it is, or is one rounded, as arrays are printed."""
        number = float(text)
        mantissa, _, exponent = text.lower().partition("e")
        decimals = len(mantissa.partition(".")[2])
        within = 0.5 * 10.0 ** (int(exponent or 0) - decimals) * 1.01 if decimals else 0
        at = bisect_left(self._sorted, number - within)
        return at < len(self._sorted) and self._sorted[at] <= number + within

    def _take(self, value: object) -> None:
        if isinstance(value, bool) or value is None:
            return
        if isinstance(value, int | float):
            self._take_number(value)
            return
        raw = str(value)
        if text := " ".join(raw.split()):
            self._texts |= {text, *_written(text), *_written(raw)}
            self._take_number(text)

    def _take_number(self, value: float | str) -> None:
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return
        if number == number:
            self._numbers.add(number)
            with np.errstate(over="ignore"):
                self._numbers.add(float(np.float32(number)))

    def _values(self, request: Request) -> Iterator[object]:
        if request.number == WARM_UP:  # the model's own values, which no client sent
            return
        kind = (request.content_type or "").partition(";")[0].strip()
        if request.protocol == V2:
            yield from self._of_tensors(msgspec.json.decode(request.body))
        elif kind == scoring_server.CONTENT_TYPE_CSV:
            yield from self._of_rows(csv.reader(io.StringIO(request.body.decode())))
        elif kind == scoring_server.CONTENT_TYPE_PARQUET:
            frame = pd.read_parquet(io.BytesIO(request.body))
            self._names |= {str(name) for name in frame.columns}
            yield from self._of(frame.to_numpy().tolist())
        else:
            content = msgspec.json.decode(request.body)
            if isinstance(content, dict) and isinstance(split := content.get(_COLUMNS[0]), dict):
                self._names |= {str(name) for name in split.pop(_COLUMNS[1], None) or ()}
            yield from self._of(content)

    def _of_rows(self, rows: Iterator[list[str]]) -> Iterator[str]:
        self._names |= set(next(rows, ()))
        count = 0
        for row in rows:
            count += 1
            self._counts.add(len(row))
            yield from row
        self._counts.add(count)

    def _of_tensors(self, content: dict[str, Any]) -> Iterator[object]:
        for tensor in content["inputs"]:
            self._names.add(tensor["name"])
            self._counts |= set(tensor["shape"])
            yield from self._of(tensor["data"])
        self._counts.add(len(content["inputs"]))
        yield from self._of(content.get("parameters"))

    def _of(self, content: object) -> Iterator[object]:
        """The leaves of what JSON holds; keys are names."""
        open_: list[Iterable[object]] = [(content,)]
        while open_:
            for value in open_.pop():
                if isinstance(value, dict):
                    self._names |= value.keys()
                    self._counts.add(len(value))
                    open_.append(value.values())
                elif isinstance(value, list):
                    self._counts.add(len(value))
                    open_.append(value)
                else:
                    yield value


def _written(text: str) -> Iterator[str]:
    """The text as `repr`, JSON, an address or what was base64 has it, where that is different."""
    if not text.isprintable() or "\\" in text or "'" in text:
        yield repr(text)[1:-1]
    if not (text.isascii() and text.isalnum()):
        yield from {json.dumps(text)[1:-1], quote(text), quote(text, safe=""), quote_plus(text)}
    if len(text) >= PIECE and len(text) % 4 == 0:
        with contextlib.suppress(ValueError):
            yield repr(base64.b64decode(text, validate=True))[2:-1]


def _without(text: str, value: str) -> str:
    """Short ones count as whole words; of long ones, also a beginning or an end."""
    if len(value) >= LEAST and value in text:
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", LEFT_OUT, text)
    if len(value) < PIECE:
        return text
    while (at := text.find(value[:PIECE])) >= 0:
        length = _common(value, text[at:])
        text = text[:at] + LEFT_OUT + text[at + length :]
    while (at := text.find(value[-PIECE:])) >= 0:
        end = at + PIECE
        length = _common(reversed(value), reversed(text[:end]))
        text = text[: end - length] + LEFT_OUT + text[end:]
    return text


def _common(first: Iterable[str], second: Iterable[str]) -> int:
    """Characters that both begin with."""
    pairs = zip(first, second)  # noqa: B905 - one of them ends first
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
