"""The way into a stack with TLS, logins and tokens, for the commands that use it."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from host.clients import web
from host.docker import client
from host.paths import LOCAL, shown
from host.user.settings import Settings
from host.user.terminal import CommandError, step

ROOT_CERTIFICATE = LOCAL / "root-certificate.pem"
OWN_CERTIFICATE = 3  # status of the gateway's root-certificate
TOKEN_LIFE = "1h"  # noqa: S105 - of the token that a command makes for itself


def enter(settings: Settings) -> None:
    """Let this process ask both services, as `admin` and with a token of its own.

    Raises CommandError if a container does not give what that takes.
    """
    if not settings.secure:
        return
    with step("logging in as admin, with a token for an hour"):
        certificate = None if settings.domain else trust()
        password = client.need(
            "compose", "run", "--rm", "-T", "--no-deps", "secrets", "show", "admin-password"
        )
        name = f"make-{secrets.token_hex(4)}"
        add = ["model-server", "tokens", "add", name, "--models", "*", "--expires", TOKEN_LIFE]
        token = client.need("compose", "exec", "-T", "serving", *add)
    login = base64.b64encode(f"admin:{password}".encode()).decode()
    headers = {settings.tracking_url: f"Basic {login}", settings.serving_url: f"Bearer {token}"}
    web.enter(headers, certificate)
    variables = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
    if certificate:
        variables["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(certificate)
    web.LOGIN.update(variables)


def trust() -> Path | None:
    """The local CA's certificate, in a file; None where the certificate is the user's own."""
    answer = client.ask("compose", "exec", "-T", "gateway", "root-certificate")
    if answer.status == OWN_CERTIFICATE:
        return None
    if answer.status != 0:
        raise CommandError(f"docker compose exec: {answer.complaint}")
    LOCAL.mkdir(exist_ok=True)
    ROOT_CERTIFICATE.write_text(f"{answer.said}\n")
    return ROOT_CERTIFICATE


def explain(settings: Settings) -> list[str]:
    """What `make up` says besides the addresses: how to get in."""
    if not settings.secure:
        return []
    lines = [
        "Login     admin; its password: docker compose run --rm secrets show admin-password",
        "Token     docker compose exec serving model-server tokens add NAME --models '*'",
    ]
    if not settings.domain and trust():
        lines.append(f"Trust     {shown(ROOT_CERTIFICATE)}, the certificate of the stack's own CA")
    return [*lines, "          docs/team.md says more"]
