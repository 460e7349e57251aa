"""The folder of secrets: every file there and usable, or one line that says which is not."""

from __future__ import annotations

import os
from pathlib import Path

from tracking_server.errors import RefusedError
from tracking_server.settings import Settings

KEK_FILE = "kek-passphrase"
FLASK_KEY_FILE = "flask-secret-key"
PGPASS_FILE = "pgpass"
S3_FILE = "s3.ini"


def check(settings: Settings) -> None:
    """Refuse to go on without each secret that the settings call for."""
    names = [KEK_FILE, FLASK_KEY_FILE]
    names += [PGPASS_FILE] if settings.on_postgres else []
    names += [S3_FILE] if settings.on_s3 else []
    for name in names:
        read(settings.secrets / name)
    # libpq ignores such a file, and the login then fails for no visible reason.
    passfile = settings.secrets / PGPASS_FILE
    if settings.on_postgres and passfile.stat().st_mode & 0o077:
        raise RefusedError(f"{passfile} is open to others, so PostgreSQL ignores it: chmod 600")


def read(path: Path) -> str:
    """The text of a secret, without the newline at its end.

    Raises:
        RefusedError: when it is missing, unreadable or empty.
    """
    remedy = "TRACKING_SECRETS must name the folder that holds it"
    try:
        text = path.read_text().strip()
    except PermissionError:
        raise RefusedError(f"{path}: user {os.getuid()} may not read this secret") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise RefusedError(f"{path}: {reason}; {remedy}") from None
    if not text:
        raise RefusedError(f"{path}: this secret is empty; {remedy}")
    return text
