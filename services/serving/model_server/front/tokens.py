"""Who is let in: whoever shows `Authorization: Bearer TOKEN`, as far as that token's scopes go.

| file                         | holds                                                            |
| ---------------------------- | ---------------------------------------------------------------- |
| `SERVING_TOKEN_STORE`        | what `model-server tokens` makes: digests, scopes, rates, expiry |
| `SERVING_TOKEN_FILE`         | tokens that open all models and their management, one a line     |
| `SERVING_METRICS_TOKEN_FILE` | tokens that open /metrics alone, one a line                      |

All are read again when they change, so tokens come and go without a restart. A file that cannot be
read opens nothing. With `SERVING_TOKENS_REQUIRED`, everything but the probes takes a token; without
it, management alone does.
"""

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from model_server.errors import RefusedError
from model_server.front import token_store
from model_server.front.exchange import Exchange
from model_server.front.grants import OPEN, Bucket, Grant
from model_server.front.guard import OPEN_PATHS, PROBES, path_of
from model_server.front.token_store import TokenError, digest
from model_server.settings import Settings

log = logging.getLogger(__name__)

LEAST = 16
"""Characters of a token that a user wrote: nothing else slows down guessing."""
LOOK = 0.25
"""Seconds between two looks at the files, where a request is to be fast."""

_State = tuple[int, int, int, int]


class Tokens:
    """Tokens of all files, looked at again as they change."""

    def __init__(self, settings: Settings) -> None:
        self.required = settings.tokens_required
        self._files = [
            _File(settings.token_file, _written(Grant("", models=None, manage=True))),
            _File(settings.metrics_token_file, _written(Grant("", metrics=True))),
            _File(settings.kept_tokens, _made),
        ]
        self._grants: dict[bytes, Grant] = {}
        """Scopes by the token's digest."""
        self._known: dict[bytes, Grant] = {}
        """Scopes by header, as nearly all clients write it, so that no digest is made twice: one a
        token, however else its bearer may write it."""
        self._looked = float("-inf")
        self._wrong = 0

    def admit(self, exchange: Exchange) -> Grant:
        """What this request may do. Raises RefusedError: 401 without a good token where one is
        needed, 429 for one that comes too often."""
        if not self.required:
            return OPEN
        if time.monotonic() - self._looked > LOOK:
            self._refresh()
        grant = self._find(exchange.headers.get(b"authorization"))
        if grant is None:
            path = path_of(exchange.url)
            if path in OPEN_PATHS or path in PROBES:
                return NOBODY
            raise self.unknown(exchange)
        grant.count()
        return grant

    def manager(self, exchange: Exchange) -> Grant:
        """What the token opens that management takes, also where nothing else takes one. Raises
        RefusedError: 401 without a good one, 403 where there is none that manages, 429 for one
        that comes too often."""
        self._refresh()
        grant = self._find(exchange.headers.get(b"authorization"))
        if grant is None:
            if not any(grant.manage for grant in self._grants.values()):
                raise RefusedError(
                    403,
                    "PERMISSION_DENIED",
                    "Load, unload and deploy are off: they need a token in the file that "
                    "SERVING_TOKEN_FILE names, or one made by `model-server tokens add --manage`.",
                )
            raise self.unknown(exchange)
        if not self.required:  # else it was counted as it was admitted
            grant.count()
        return grant

    def _find(self, authorization: bytes | None) -> Grant | None:
        if authorization is None:
            return None
        grant = self._known.get(authorization)
        if grant is None:
            scheme, _, token = authorization.partition(b" ")
            if scheme.lower() != b"bearer":
                return None
            token = token.strip()
            # Looked up by its digest: how long that takes tells nothing about any token.
            grant = self._grants.get(digest(token))
            if grant is None:
                return None
            if authorization == b"Bearer " + token:
                self._known[authorization] = grant
        if grant.expires is not None and grant.expires <= time.time():
            return None
        return grant

    def unknown(self, exchange: Exchange) -> RefusedError:
        """That it has no good token, or none: 401."""
        if b"authorization" in exchange.headers:
            self._count_wrong()
        return RefusedError(
            401,
            "UNAUTHENTICATED",
            "This needs the header 'Authorization: Bearer TOKEN'.",
            headers=((b"www-authenticate", b"Bearer"),),
        )

    def _refresh(self) -> None:
        self._looked = time.monotonic()
        changed = [file.refresh() for file in self._files]
        if any(changed):
            buckets = {grant.name: grant.bucket for grant in self._grants.values() if grant.bucket}
            self._grants = {}
            for file in self._files:
                self._grants |= file.grants(buckets)
            self._known.clear()

    def _count_wrong(self) -> None:
        """One line a second, however many there are."""
        if not self._wrong:
            asyncio.get_running_loop().call_later(1, self._tell_wrong)
        self._wrong += 1

    def _tell_wrong(self) -> None:
        log.warning("wrong tokens", extra={"count": self._wrong})
        self._wrong = 0


NOBODY = Grant("")
"""Sees that the server is well, and nothing else."""

_Buckets = dict[str, Bucket]
_Grants = dict[bytes, Grant]


class _File:
    """One file of tokens, as it was at the last look."""

    def __init__(self, path: Path | None, read: Callable[[bytes, _Buckets], _Grants]) -> None:
        self._path = path
        self._read = read
        self._state: _State | None = None
        self._content = b""

    def refresh(self) -> bool:
        """Whether it is another than at the last look."""
        state, before = None, self._content
        try:
            if self._path is not None:
                status = self._path.stat()
                state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)
            if state != self._state:
                self._content = self._path.read_bytes() if state and self._path else b""
                if self._content and status.st_mode & stat.S_IROTH:
                    log.warning("every user of this machine can read the token file")
        except FileNotFoundError:
            self._content = b""
        except OSError as error:
            self._content = b""
            if state != self._state or state is None:
                log.error(
                    "token file cannot be read", extra={"reason": os.strerror(error.errno or 0)}
                )
        self._state = state
        return self._content != before

    def grants(self, buckets: _Buckets) -> _Grants:
        """Scopes by digest; none where the file is not what it should be."""
        if not self._content:
            return {}
        try:
            grants = self._read(self._content, buckets)
        except TokenError as error:
            log.error("token file cannot be read", extra={"reason": str(error)})
            return {}
        log.info("token file read", extra={"tokens": len(grants)})
        return grants


def _written(grant: Grant) -> Callable[[bytes, _Buckets], _Grants]:
    """Reads what a user wrote, or a generated secret: one token a line, # for comments."""

    def read(content: bytes, _: _Buckets) -> _Grants:
        lines = [line.strip() for line in content.splitlines()]
        tokens = [line for line in lines if line and not line.startswith(b"#")]
        good = [token for token in tokens if len(token) >= LEAST]
        if len(good) < len(tokens):
            log.warning("short tokens do not count", extra={"least_characters": LEAST})
        return dict.fromkeys(map(digest, good), grant)

    return read


def _made(content: bytes, buckets: _Buckets) -> _Grants:
    grants = {}
    for token in token_store.parse(content):
        bucket = buckets.get(token.name)
        if token.rate is None:
            bucket = None
        elif bucket is None or bucket.rate != token.rate:
            # One for all tokens of a name: rotating is no way to more.
            bucket = buckets[token.name] = Bucket(token.rate)
        grants[bytes.fromhex(token.digest)] = Grant(
            token.name, token.models, token.manage, token.metrics, token.expires, bucket
        )
    return grants
