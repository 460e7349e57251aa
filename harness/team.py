"""The stack with the team overlay, running, and the ways into it."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import httpx

from harness.stack import Stack


class Team:
    """The running stack, and the way into it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.tracking = stack.tracking.replace("http://127.0.0.1", "https://localhost")
        self.serving = stack.serving.replace("http://127.0.0.1", "https://localhost")
        self.certificate = folder / "root.pem"
        self.certificate.write_text(stack.execute("gateway", "root-certificate"))
        show = ["run", "--rm", "-T", "--no-deps", "secrets", "show"]
        self.admin = stack.compose(*show, "admin-password").stdout.strip()
        self.metrics_token = stack.compose(*show, "metrics-token").stdout.strip()

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(verify=self.context, timeout=60, trust_env=False, **options)

    def environment(self, user: str, password: str) -> dict[str, str]:
        """What a user sets for MLflow."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(self.certificate),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        }

    def tokens(self, *arguments: str) -> str:
        return self.stack.execute("serving", "model-server", "tokens", *arguments).strip()

    def add_user(self, name: str) -> str:
        return self.stack.execute("tracking", "tracking-server", "user", "add", name).strip()

    def container_url(self, service: str, port: int) -> str:
        """Address past the gateway."""
        networks = self.stack.container(service)["NetworkSettings"]["Networks"]
        return f"http://{networks[f'{self.stack.project}_front']['IPAddress']}:{port}"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def basic(name: str, password: str) -> str:
    """The header Authorization of a login."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
