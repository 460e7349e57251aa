"""A real tracking server with logins, on local files: an administrator and two users."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import httpx

from harness.tracking import COMMAND, Tracking, on_local_files

USERS = ("eve", "bob")


class Logins:
    """A running server, and the passwords of those who may come in."""

    def __init__(self, folder: Path, **settings: str | Path) -> None:
        variables = {"TRACKING_LOGINS": f"sqlite:///{folder}/logins.db", **settings}
        self.server: Tracking = on_local_files(folder, **variables)
        self.passwords = {name: secrets.token_hex(16) for name in ("admin", "serving", *USERS)}
        for name in ("admin", "serving"):
            (folder / "secrets" / f"{name}-password").write_text(self.passwords[name])

    def start(self) -> Logins:
        migrated = self.server.migrate()
        assert migrated.returncode == 0, migrated.stderr
        for name in USERS:
            subprocess.run(
                [*COMMAND, "user", "add", name, "--stdin"],
                env=self.server.environment,
                input=f"{self.passwords[name]}\n",
                text=True,
                capture_output=True,
                check=True,
            )
        self.server.start()
        return self

    def client(self, name: str) -> httpx.Client:
        """Requests of this user's."""
        login = (name, self.passwords[name])
        return httpx.Client(base_url=self.server.uri, auth=login, timeout=60, trust_env=False)
