"""How passwords are checked: by MLflow's store of users, few at one time."""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Callable
from types import ModuleType

from tracking_server.logins.throttle import CHECKS_AT_ONCE

REMEMBERED = 10_000
"""Passwords that a worker keeps."""


def few_at_once(authenticate: Callable[..., bool]) -> Callable[..., bool]:
    """Limit MLflow's own checks too, which it makes because a login was forgotten meanwhile."""
    few = threading.BoundedSemaphore(CHECKS_AT_ONCE)

    def authenticate_few(*login: str, **options: bool) -> bool:
        with few:
            return authenticate(*login, **options)

    return authenticate_few


def checked_once(fits: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    """Take no tenth of a second for a password that did fit a hash: it always will. Whose hash it
    is, and whether it still is, is read from the database as before. Passwords are kept as MLflow
    keeps them, by a key of this server's."""
    key = os.urandom(32)
    fitting: set[tuple[str, bytes]] = set()

    def fits_once(pwhash: str, password: str) -> bool:
        pair = pwhash, hmac.digest(key, password.encode(), "sha256")
        if pair in fitting:
            return True
        if not fits(pwhash, password):
            return False
        if len(fitting) >= REMEMBERED:
            fitting.clear()
        fitting.add(pair)
        return True

    return fits_once


class MlflowLogins:
    """The logins of `mlflow.server.auth`, as `Throttle` asks for them. Of its names, some are
    private; tests/integration/tracking/test_logins.py fails where MLflow renames one."""

    def __init__(self, auth: ModuleType) -> None:
        from werkzeug.security import generate_password_hash

        self._auth = auth
        self._nobodys = generate_password_hash(os.urandom(16).hex())

    def is_open(self, path: str) -> bool:
        """Whether everybody may ask there."""
        return path == "/readyz" or bool(self._auth.is_unprotected_route(path))

    def known(self, user: str, password: str) -> bool:
        """Whether this was right lately; at once."""
        key = self._auth._auth_cache_key(user, password)
        with self._auth._USER_AUTH_CACHE_LOCK:
            return key in self._auth._USER_AUTH_CACHE

    def check(self, user: str, password: str) -> bool:
        """Whether this is right; takes a tenth of a second."""
        from werkzeug.security import check_password_hash

        if self._auth._authenticate_cached(user, password) is not None:
            return True
        # MLflow takes a database that does not answer for a wrong password: this raises. And a
        # name that nobody has takes as long as one that somebody has.
        if not self._auth.store.has_user(user):
            check_password_hash(self._nobodys, password)
        return False
