"""Ways to ask a model."""

from __future__ import annotations

from harness.serving import ModelServer
from tests.integration.serving.models import act


class Served:
    """A worker of a running server."""

    def __init__(self, server: ModelServer, name: str = "nosy") -> None:
        self._server = server
        self._name = name
        server.wait_for(lambda: server.model(name).get("workers"), 300, f"{name} to be served")

    def ask(self, acts: list[str]) -> list[str]:
        answer = self._server.ask(act(*acts), self._name)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    def stop(self) -> None:
        pass
