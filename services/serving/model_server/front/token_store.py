"""The file of API tokens: their digests and scopes. The server reads it, `model-server tokens`
writes it.

    {"tokens": [{"name": "app", "digest": "9f86d0...", "models": ["wine"], "rate": 50.0}]}

A token has 256 random bits, so that its plain SHA-256 gives nothing away and costs nothing.
A name comes twice while an old token is on its way out.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from model_server.files import write_whole

PREFIX = "mst_"
"""Lets scanners for secrets in code know one."""


class Token(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """models: served names, or None for all. created, expires: Unix seconds. rate: requests a
    second."""

    name: str
    digest: str
    created: float
    models: frozenset[str] | None = frozenset()
    manage: bool = False
    metrics: bool = False
    rate: float | None = None
    expires: float | None = None

    def is_over(self, now: float) -> bool:
        """Whether it has expired by `now`."""
        return self.expires is not None and self.expires <= now


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tokens: list[Token] = []


class TokenError(Exception):
    """One line: what cannot be done, and why."""


def digest(token: bytes) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token).digest()


def parse(content: bytes) -> list[Token]:
    """Raises TokenError when it is not what this module writes."""
    try:
        tokens = msgspec.json.decode(content, type=_File).tokens
        for token in tokens:
            if len(bytes.fromhex(token.digest)) != 32:
                raise ValueError(token.name)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise TokenError("it is no file of tokens") from None
    return tokens


class Store:
    """Changes the file, one process at a time. All methods raise TokenError or OSError, and then
    have changed nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[Token]:
        """Those that are not over."""
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return []
        try:
            tokens = parse(content)
        except TokenError as error:
            raise TokenError(f"{self._file}: {error}: mend or remove it") from None
        now = time.time()
        return [token for token in tokens if not token.is_over(now)]

    def add(self, name: str, **scopes: Any) -> str:
        """Returns the token, which is kept nowhere."""
        with self._changing() as tokens:
            if any(token.name == name for token in tokens):
                raise TokenError(f"there is a token {name} already: rotate or remove it")
            text = _new()
            tokens.append(Token(name, _digest(text), time.time(), **scopes))
        return text

    def rotate(self, name: str, grace: float) -> str:
        """A new token with the same scopes; the old one goes on for `grace` seconds."""
        with self._changing() as tokens:
            mine = [token for token in tokens if token.name == name]
            if not mine:
                raise _unknown(name)
            newest = max(mine, key=lambda token: token.created)
            tokens[:] = [token for token in tokens if token.name != name]
            if grace:
                until = time.time() + grace
                expires = until if newest.expires is None else min(until, newest.expires)
                tokens.append(msgspec.structs.replace(newest, expires=expires))
            text = _new()
            tokens.append(
                msgspec.structs.replace(newest, digest=_digest(text), created=time.time())
            )
        return text

    def remove(self, name: str) -> None:
        """Forget all tokens of this name."""
        with self._changing() as tokens:
            if all(token.name != name for token in tokens):
                raise _unknown(name)
            tokens[:] = [token for token in tokens if token.name != name]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        before = os.umask(0o077)
        try:
            with self._file.with_name(self._file.name + ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                tokens = self.read()
                yield tokens
                write_whole(self._file, msgspec.json.format(msgspec.json.encode(_File(tokens))))
        finally:
            os.umask(before)


def _new() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _digest(text: str) -> str:
    return digest(text.encode()).hex()


def _unknown(name: str) -> TokenError:
    return TokenError(f"there is no token {name}: `model-server tokens list` shows all")
