"""The secrets of local mode: made at the first start; a file in secrets/ replaces one.

What was stored under a passphrase is of no use with another, so a lost or changed one is refused
until the user says ROTATE=1.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from host.files import write_whole
from host.paths import LOCAL, ROOT, shown
from host.user.terminal import CommandError, say

KEPT = LOCAL / "secrets"
GIVEN = ROOT / "secrets"
KEK = "kek-passphrase"
NAMES = (KEK, "flask-secret-key")
TAKEN = re.compile(r"[A-Za-z0-9._~-]{12,128}")  # as services/secrets takes them under Compose


def keep(database: Path, *, rotate: bool = False) -> bool:
    """Bring every secret to its place; whether any changed. `database`: what the passphrase is for.

    Raises CommandError, before anything is changed, if a given file is no secret, or if the
    passphrase is not the one of the database and `rotate` does not say that this is meant.
    """
    provided = {name: _given(GIVEN / name) for name in NAMES if (GIVEN / name).exists()}
    # A damaged one counts as lost.
    kept = {name: value for name in NAMES if TAKEN.fullmatch(value := _read(KEPT / name))}
    values = {name: secrets.token_hex(32) for name in NAMES} | kept | provided
    if database.exists() and values[KEK] != kept.get(KEK):
        _part(database, provided.get(KEK), kept.get(KEK), rotate=rotate)
    KEPT.mkdir(mode=0o700, parents=True, exist_ok=True)
    changed = [name for name in NAMES if values[name] != kept.get(name)]
    for name in changed:
        write_whole(KEPT / name, values[name])
    return bool(changed)


def _given(path: Path) -> str:
    value = _read(path)
    if not TAKEN.fullmatch(value):
        raise CommandError(
            f"{shown(path)}: expected 12 to 128 letters, digits and ._~-, in one line: "
            f"for a good one, openssl rand -hex 32 > {shown(path)}"
        )
    return value


def _read(path: Path) -> str:
    """The line in a file, "" where there is no file."""
    if not path.is_file():
        return ""
    return path.read_bytes().decode("utf-8", "replace").strip("\r\n")


def _part(database: Path, provided: str | None, kept: str | None, *, rotate: bool) -> None:
    """Part `database` from its passphrase, or raise CommandError if that is not meant.

    A given one where none is kept may be the lost one that the user has put back.
    """
    if provided and not kept:
        return
    place = KEPT / KEK
    if not rotate:
        instead = f"another one in {shown(GIVEN / KEK)}" if provided else "none"
        raise CommandError(
            f"{shown(place)}: expected the passphrase that {shown(database)} was written with, "
            f"found {instead}: put it back, or take a new one with make up ROTATE=1 (only API keys "
            "stored in MLflow's AI gateway are lost with the old one)"
        )
    aside = "is lost"
    if kept:
        previous = place.with_name(f"{KEK}.previous")
        write_whole(previous, kept)
        aside = f"is kept as {shown(previous)}"
    say(f"- taking a new {KEK}: API keys in MLflow's AI gateway need the old, which {aside}")
