"""Tells whether a value is the one that some data was made with, without keeping the value.

A record lies beside the data, so that a backup of the volume carries it. scrypt, because a value
that a user chose may be weak, and the record is readable to who reads the data.
"""

import hashlib
import hmac
import json
import os
from pathlib import Path

from stack_secrets import files

FILE = ".stack-secrets.json"
COST = {"n": 2**14, "r": 8, "p": 1}


def read(volume: Path) -> dict[str, str]:
    """The record in `volume`, by secret; empty where there is none or it cannot be read."""
    try:
        record = json.loads((volume / FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write(volume: Path, values: dict[str, str], give: files.Give) -> None:
    """Replace the record in `volume` by one of `values`."""
    record = {name: _make(value) for name, value in values.items()}
    files.write(volume / FILE, json.dumps(record, indent=1) + "\n", give=give)


def matches(value: str, fingerprint: object) -> bool:
    """Whether a record was made of this value."""
    try:
        salt, digest = str(fingerprint).split(":")
        return hmac.compare_digest(_digest(value, bytes.fromhex(salt)), digest)
    except (ValueError, TypeError):
        return False


def has_data(volume: Path) -> bool:
    """Whether `volume` holds anything but our record and what a new file system comes with."""
    return any(path.name not in (FILE, "lost+found") for path in volume.iterdir())


def _make(value: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}:{_digest(value, salt)}"


def _digest(value: str, salt: bytes) -> str:
    return hashlib.scrypt(value.encode(), salt=salt, dklen=32, **COST).hex()
