"""A real tracking server with logins: an administrator and some users."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import httpx

from harness.tracking import Tracking, on_local_files

USER = "/api/2.0/mlflow/users/create"
GRANT = "/api/3.0/mlflow/users/permissions/grant"
DEFAULT = {"resource_type": "experiment", "resource_id": "0", "permission": "EDIT"}
USERS = ("eve", "bob")


class Logins:
    """A running server, and the passwords of those who may come in."""

    def __init__(self, server: Tracking, users: Sequence[str] = USERS) -> None:
        """`server` has TRACKING_LOGINS and is not yet started."""
        self.server, self.users = server, users
        self.passwords = {name: secrets.token_hex(16) for name in ("admin", "serving", *users)}
        for name in ("admin", "serving"):
            (server.folder / "secrets" / f"{name}-password").write_text(self.passwords[name])

    @classmethod
    def on_local_files(cls, folder: Path, **settings: str | Path) -> Logins:
        """With the settings of a server on SQLite and a folder."""
        variables = {"TRACKING_LOGINS": f"sqlite:///{folder}/logins.db", **settings}
        return cls(on_local_files(folder, **variables))

    def start(self) -> Logins:
        migrated = self.server.migrate()
        assert migrated.returncode == 0, migrated.stderr
        self.server.start()
        try:
            self._add_users()
        except BaseException:
            self.server.stop()
            raise
        return self

    def _add_users(self) -> None:
        """As `user add` does, which imports MLflow for each."""
        with self.client("admin") as admin:
            for name in self.users:
                user = {"username": name, "password": self.passwords[name]}
                admin.post(USER, json=user).raise_for_status()
                admin.post(GRANT, json={"username": name, **DEFAULT}).raise_for_status()

    def client(self, name: str) -> httpx.Client:
        """Requests of this user's."""
        login = (name, self.passwords[name])
        return httpx.Client(base_url=self.server.uri, auth=login, timeout=60, trust_env=False)
