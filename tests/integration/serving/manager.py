"""Whoever deploys on a model server."""

from urllib.parse import quote

import httpx

from harness.serving import ModelServer

TOKEN = "test-token-0123456789"


class Manager:
    """A client with a token."""

    def __init__(self, server: ModelServer, token: str | None = TOKEN) -> None:
        self.server = server
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def deploy(self, name: str, uri: str, wait: float | None = 60) -> httpx.Response:
        path = f"/models/{quote(name, safe='')}" + (f"?wait={wait}" if wait else "")
        return self.server.http.put(path, json={"uri": uri}, headers=self.headers)

    def undo(self, name: str) -> httpx.Response:
        return self.server.http.delete(f"/models/{quote(name, safe='')}", headers=self.headers)

    def load(self, name: str, **content: object) -> httpx.Response:
        path = f"/v2/repository/models/{quote(name, safe='')}/load"
        return self.server.http.post(path, json=content, headers=self.headers)

    def unload(self, name: str) -> httpx.Response:
        path = f"/v2/repository/models/{quote(name, safe='')}/unload"
        return self.server.http.post(path, headers=self.headers)
