"""Reads .env as Docker Compose does, for the two cases that Compose does not: local mode, doctor.

NAME=value, one a line; quotes, comments after a value, `export`, ${NAME} or ${NAME:-default}. What
Compose would read in another way is refused; in single quotes, both take a value as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from host.paths import shown
from host.user.terminal import CommandError

LINE = re.compile(
    r"""
    (?:export\ +)? (?P<name>[A-Za-z_]\w*) \ *=\ *
    (?: '(?P<literal>[^']*)(?<!\\)' | "(?P<quoted>(?:[^"\\]|\\["\\])*)"
      | (?P<bare>[^'"\s](?:(?!\ \#).)*?)? )
    \ * (?:\ \#.*)?
    """,
    re.VERBOSE | re.ASCII,
)
NAME = r"[A-Za-z_]\w*"
REFERENCE = re.compile(
    rf"\$(?:\{{(?P<braced>{NAME})(?::-(?P<default>[^}}$]*))?\}}|(?P<bare>{NAME}))", re.ASCII
)


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of the file at `path`, none if it is not there.

    Raises CommandError naming the first line that is not a setting, or replaces one above it.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{shown(path)} cannot be read: {error}") from None
    settings: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        line = line.strip(" \t")
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line) if line.isprintable() else None
        value = match and _value(match, {**settings, **environ})
        if match is None or value is None:
            raise CommandError(
                f"{shown(path)} line {number}: expected NAME=value or NAME='value', found {line!r}"
            )
        name = match["name"]
        if settings.get(name, value) != value:
            way = "join both into one line" if name == "COMPOSE_FILE" else "keep one of the two"
            raise CommandError(
                f"{shown(path)} line {number}: {name} would replace line {lines[name]}: {way}"
            )
        settings[name], lines[name] = value, number
    return settings


def _value(match: re.Match[str], known: Mapping[str, str]) -> str | None:
    """None where a dollar begins no reference that is known here."""
    if match["literal"] is not None:
        return match["literal"]
    if match["quoted"] is not None:
        text = re.sub(r"\\(.)", r"\1", match["quoted"])
    else:
        text = match["bare"] or ""

    def resolve(reference: re.Match[str]) -> str:
        name = reference["braced"] or reference["bare"]
        return known.get(name) or reference["default"] or ""

    return None if "$" in REFERENCE.sub("", text) else REFERENCE.sub(resolve, text)
