"""What the stack keeps secret, who reads it, and which volumes belong to whom. Only data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Secret:
    """One secret value.

    length: hex digits of a generated value. minimum: characters of a value given by the user.
    guards: the volume whose data is of no use with another value, or None.
    """

    length: int
    minimum: int
    guards: str | None


@dataclass(frozen=True)
class Reader:
    """One container that reads secrets: its user, and its files as templates over the values."""

    user: int
    files: dict[str, str]


# None is a person's, who could then look into the container's processes from outside: hence not
# 1000 for the storage, and for PostgreSQL what its image has.
POSTGRES, TRACKING, SERVING, RUNNER, MINIO = 999, 10001, 10002, 10003, 10004
GATEWAY = 10010

# S3 keys have the lengths that AWS gives its own, the longest that every client takes.
SECRETS = {
    "postgres-password": Secret(64, 12, "postgres-data"),
    "mlflow-password": Secret(64, 12, "postgres-data"),
    "kek-passphrase": Secret(64, 12, "postgres-data"),
    "minio-root-user": Secret(20, 3, "minio-data"),
    "minio-root-password": Secret(40, 12, "minio-data"),
    "s3-access-key": Secret(20, 3, "minio-data"),
    "s3-secret-key": Secret(40, 12, "minio-data"),
    "flask-secret-key": Secret(64, 12, None),
    "admin-password": Secret(32, 12, None),  # a person types it
    "serving-password": Secret(64, 12, None),
    "metrics-token": Secret(64, 16, None),
}

# What people and their programs need to know: `secrets show NAME` prints these and no others.
SHOWN = ("admin-password", "metrics-token")

# Never made: what they open stays shut until the user gives them, and again when they are gone.
GIVEN_ONLY = {"serving-token": Secret(64, 16, None)}

# The same, but text of several lines: both or neither.
CERTIFICATE = ("tls-certificate", "tls-key")

_TRACKING = {
    "pgpass": (
        "postgres:5432:mlflow:mlflow:{mlflow-password}\n"
        "postgres:5432:logins:mlflow:{mlflow-password}\n"
    ),
    "s3.ini": (
        "[default]\naws_access_key_id = {s3-access-key}\naws_secret_access_key = {s3-secret-key}\n"
    ),
    "kek-passphrase": "{kek-passphrase}",
    "flask-secret-key": "{flask-secret-key}",
}

READERS = {
    "postgres": Reader(POSTGRES, {"password": "{postgres-password}"}),
    "database": Reader(
        POSTGRES,
        {"postgres-password": "{postgres-password}", "mlflow-password": "{mlflow-password}"},
    ),
    "minio": Reader(
        MINIO, {"root-user": "{minio-root-user}", "root-password": "{minio-root-password}"}
    ),
    "bucket": Reader(
        MINIO,
        {
            "root-user": "{minio-root-user}",
            "root-password": "{minio-root-password}",
            "s3-access-key": "{s3-access-key}",
            "s3-secret-key": "{s3-secret-key}",
        },
    ),
    "tracking": Reader(TRACKING, _TRACKING),
    # In the team overlay: also makes the logins.
    "migrate": Reader(
        TRACKING,
        {
            **_TRACKING,
            "admin-password": "{admin-password}",
            "serving-password": "{serving-password}",
        },
    ),
    "serving": Reader(
        SERVING,
        {
            "token": "{serving-token}",
            "metrics-token": "{metrics-token}",
            "tracking-login": "serving:{serving-password}\n",
        },
    ),
    "gateway": Reader(GATEWAY, {name: f"{{{name}}}" for name in CERTIFICATE}),
}

# Docker makes volumes for root; their users may not change that themselves.
VOLUMES = {
    "postgres-data": POSTGRES,
    "minio-data": MINIO,
    "tracking-tmp": TRACKING,
    "tracking-backups": TRACKING,
    "serving-cache": SERVING,
    "serving-tokens": SERVING,
    "gateway-data": GATEWAY,
    "runner-home": RUNNER,
}

# Readers and volumes that overlays alone mount: left out where they are not there.
OVERLAYS = {"migrate", "gateway", "serving-tokens", "gateway-data"}
