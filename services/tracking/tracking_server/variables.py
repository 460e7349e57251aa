"""The environment variables by which MLflow, libpq and boto3 are configured."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable

from tracking_server import secret_files, tls
from tracking_server.settings import ARTIFACT_ROOT, Settings

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]", "tracking")

# These would win over the files in TRACKING_SECRETS.
FOREIGN_CREDENTIALS = (
    "PGPASSWORD",
    "PGSERVICE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
)
# With it MLflow would trust every certificate.
UNSAFE = ("MLFLOW_S3_IGNORE_TLS",)


def apply(settings: Settings) -> None:
    """Put the configuration into this process; call before MLflow is imported.

    Nothing is executed afterwards that would carry it into a process list: children are
    forked, and /proc/<pid>/environ shows what a process was started with.
    """
    for name in (*FOREIGN_CREDENTIALS, *UNSAFE):
        os.environ.pop(name, None)
    os.environ.update(clients(settings))
    os.environ.update(mlflow_server(settings))


def clients(settings: Settings) -> dict[str, str]:
    """How libpq and boto3 find their credentials: by file, never by value."""
    variables = {"PGCONNECT_TIMEOUT": "5", "PGAPPNAME": "mlflow-tracking", **tls.clients(settings)}
    if settings.on_postgres:
        variables["PGPASSFILE"] = str(settings.secrets / secret_files.PGPASS_FILE)
    if settings.on_s3:
        variables |= {
            "AWS_SHARED_CREDENTIALS_FILE": str(settings.secrets / secret_files.S3_FILE),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
            # Content is checked by MD5 or SHA-256 already; a CRC on top costs a second pass.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
        if settings.s3_endpoint:
            variables["MLFLOW_S3_ENDPOINT_URL"] = settings.s3_endpoint
    return variables


def mlflow_server(settings: Settings) -> dict[str, str]:
    """What `mlflow server` would set for its workers, and this stack's choices.

    A unit test holds the names and values against what that command really does.
    """
    closed = {"MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true"} if settings.logins else {}
    return closed | {
        "_MLFLOW_SERVER_FILE_STORE": settings.backend_store,
        "_MLFLOW_SERVER_REGISTRY_STORE": settings.backend_store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": ARTIFACT_ROOT,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings.artifact_store,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_ENABLE_WORKSPACES": "false",
        "MLFLOW_SERVER_SECRETS_CACHE_TTL": "60",
        "MLFLOW_SERVER_SECRETS_CACHE_MAX_SIZE": "1000",
        "MLFLOW_SERVER_X_FRAME_OPTIONS": "SAMEORIGIN",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(allowed_hosts(settings.names)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(allowed_origins(settings.names)),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # A call of log-batch holds one connection while it waits for a second: as soon as each
        # of a full pool's is the first of some call, all wait for 30 s, then get a 400, which no
        # client tries again. Threads limit their number (tracking_server.backend.connections).
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "-1",
        # MLflow would ask GitHub for newer lists of models and prices, and answer nothing for
        # minutes where that cannot be reached; it brings lists of its own.
        "MLFLOW_MODEL_CATALOG_URI": "",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secret_files.read(
            settings.secrets / secret_files.FLASK_KEY_FILE
        ),
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": secret_files.read(settings.secrets / secret_files.KEK_FILE),
    }


def allowed_hosts(names: Iterable[str]) -> list[str]:
    """Patterns for the Host header, as fnmatch reads them: each name, with any port or none."""
    every = dict.fromkeys((*LOCAL_NAMES, *names))
    # A bracket begins a set of characters, and an entry without `*` is compared as it is.
    patterns = [name.replace("[", "[[]") for name in every]
    return [*every, *(f"{pattern}:*" for pattern in patterns)]


def allowed_origins(names: Iterable[str]) -> list[str]:
    """Patterns for the Origin header of the UI under each name; MLflow adds the local ones.

    Each is read twice, by fnmatch and as a regular expression that only has to match the
    beginning: hence `[.]` for a dot, and a colon behind the name, which no other host has.
    """
    origins = []
    for name in dict.fromkeys(names):
        pattern = name.replace("[", "[\\[]").replace(".", "[.]")
        for scheme in ("http", "https"):
            origins.append(f"{scheme}://{pattern}:[0-9]*")
            # Without a port, as a browser writes the usual one. An address in brackets
            # would be taken for a regular expression that matches far too much.
            if "[" not in name:
                origins.append(f"{scheme}://{name}")
    return origins
