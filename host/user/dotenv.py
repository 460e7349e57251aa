"""Reads .env as Docker Compose does, for the two cases that Compose does not: local mode, doctor.

NAME=value, one a line; quotes, comments after a value, `export`, ${NAME} or ${NAME:-default}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from host.paths import shown
from host.user.terminal import CommandError

LINE = re.compile(
    r"""
    (?:export\s+)? (?P<name>[A-Za-z_][A-Za-z0-9_]*) \s*=\s*
    (?: '(?P<literal>[^']*)' | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<bare>[^'"\s](?:(?!\s\#).)*?)? )
    \s* (?:\s\#.*)?
    """,
    re.VERBOSE,
)
REFERENCE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\}|(?P<bare>\w+))")


def read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of the file at `path`, none if it is not there.

    Raises CommandError naming the first line that is not a setting, or replaces one above it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{shown(path)} cannot be read: {error}") from None
    settings: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if not match:
            raise CommandError(f"{shown(path)} line {number}: expected NAME=value, found: {line}")
        name, value = match["name"], _value(match, {**settings, **environ})
        if settings.get(name, value) != value:
            way = "join both into one line" if name == "COMPOSE_FILE" else "keep one of the two"
            raise CommandError(
                f"{shown(path)} line {number}: {name} would replace line {lines[name]}: {way}"
            )
        settings[name], lines[name] = value, number
    return settings


def _value(match: re.Match[str], known: Mapping[str, str]) -> str:
    if match["literal"] is not None:
        return match["literal"]
    if match["quoted"] is not None:
        text = re.sub(r"\\(.)", r"\1", match["quoted"])
    else:
        text = match["bare"] or ""

    def resolve(reference: re.Match[str]) -> str:
        name = reference["braced"] or reference["bare"]
        return known.get(name) or reference["default"] or ""

    return REFERENCE.sub(resolve, text)
