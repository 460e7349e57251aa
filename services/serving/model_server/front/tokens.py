"""Who may load, unload and deploy: whoever shows a token of SERVING_TOKEN_FILE.

    # one a line; several while an old one is on its way out
    5b1f0d...

The file is read again when it changes, so tokens come and go without a restart. Without the file,
or without a token in it, nobody may.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import stat
from pathlib import Path

from model_server.errors import RefusedError

log = logging.getLogger(__name__)

LEAST = 16
"""Characters of a token: nothing else slows down guessing."""

_State = tuple[int, int, int, int]


class Tokens:
    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._state: _State | None = None
        self._digests: list[bytes] = []
        self._wrong = 0

    def check(self, authorization: bytes | None) -> None:
        """Raises RefusedError: 403 when management is off, 401 for a wrong token or none."""
        self._refresh()
        if not self._digests:
            raise RefusedError(
                403,
                "PERMISSION_DENIED",
                "Load, unload and deploy are off: they need a token in the file that "
                "SERVING_TOKEN_FILE names.",
            )
        scheme, _, token = (authorization or b"").partition(b" ")
        given = _digest(token.strip())
        # All of them, each in constant time: how long it takes tells nothing.
        right = sum(hmac.compare_digest(given, digest) for digest in self._digests)
        if scheme.lower() != b"bearer" or not right:
            if authorization is not None:
                self._count_wrong()
            raise RefusedError(
                401,
                "UNAUTHENTICATED",
                "This needs the header 'Authorization: Bearer TOKEN'.",
                headers=((b"www-authenticate", b"Bearer"),),
            )

    def _refresh(self) -> None:
        state = None
        try:
            if self._file is not None:
                found = self._file.stat()
                state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
            if state != self._state:
                self._digests = self._read(found.st_mode) if state else []
        except FileNotFoundError:
            self._digests = []
        except OSError as error:
            self._digests = []
            if state != self._state or state is None:
                log.error("token file cannot be read", extra={"reason": os.strerror(error.errno)})
        self._state = state

    def _read(self, mode: int) -> list[bytes]:
        lines = [line.strip() for line in self._file.read_bytes().splitlines()]
        found = [line for line in lines if line and not line.startswith(b"#")]
        good = [token for token in found if len(token) >= LEAST]
        if len(good) < len(found):
            log.warning("short tokens do not count", extra={"least_characters": LEAST})
        if mode & stat.S_IROTH:
            log.warning("every user of this machine can read the token file")
        log.info("token file read", extra={"tokens": len(good)})
        return [_digest(token) for token in good]

    def _count_wrong(self) -> None:
        """One line a second, however many there are."""
        if not self._wrong:
            asyncio.get_running_loop().call_later(1, self._tell_wrong)
        self._wrong += 1

    def _tell_wrong(self) -> None:
        log.warning("wrong tokens", extra={"count": self._wrong})
        self._wrong = 0


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
