"""Ways into a stack with the team overlay."""

from __future__ import annotations

import os

from chaos.scene import Scene
from harness.team import Team, bearer

OVERLAY = "compose.team.yml"


def enter(scene: Scene) -> None:
    """Let clients come as users do, by TLS, with a login and a token: the stack's addresses hold
    the login, and this process trusts its certificate."""
    stack = scene.stack
    team = Team(stack, stack.folder)
    login = team.environment("admin", team.admin)
    for name in ("USERNAME", "PASSWORD", "SERVER_CERT_PATH"):
        os.environ[f"MLFLOW_TRACKING_{name}"] = login[f"MLFLOW_TRACKING_{name}"]
    os.environ["SSL_CERT_FILE"] = str(team.certificate)  # which httpx reads
    scene.token = bearer(team.tokens("add", "chaos", "--models", "*"))
    stack.tracking = team.tracking.replace("https://", f"https://admin:{team.admin}@")
    stack.serving = team.serving
