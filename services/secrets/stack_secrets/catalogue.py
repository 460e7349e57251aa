"""What the stack keeps secret, who reads it, and which volumes belong to whom. Only data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Secret:
    """One secret value.

    length: hex digits of a generated value. minimum: characters of a value given by the user.
    guards: the volume whose data is of no use with another value, or None. foreign: it comes from
    another server, which uses characters of its own; it goes into no URL.
    """

    length: int
    minimum: int
    guards: str | None
    foreign: bool = False


@dataclass(frozen=True)
class Reader:
    """One container that reads secrets: its user, and its files as templates over the values.

    by_group: its group reads them too, since it may run as another user of that group.
    uses_stores: it reads the database and the storage, and so what EXTERNAL says of them.
    """

    user: int
    files: dict[str, str]
    by_group: bool = False
    uses_stores: bool = False


# None is a person's, who could then look into the container's processes from outside: hence not
# 1000 for the storage, and for PostgreSQL what its image has.
POSTGRES, TRACKING, SERVING, RUNNER, MINIO, BACKUP = 999, 10001, 10002, 10003, 10004, 10005
PROMETHEUS, POSTGRES_EXPORTER, GRAFANA = 10021, 10022, 472
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
    "monitor-password": Secret(64, 12, None),
    "metrics-token": Secret(64, 16, None),
    "grafana-password": Secret(40, 12, None),
    "grafana-secret-key": Secret(64, 12, None),
    "backup-password": Secret(64, 12, None),
}

# What people and their programs need to know: `secrets show NAME` prints these and no others.
SHOWN = ("admin-password", "grafana-password", "metrics-token")

# Never made: what they open stays shut until the user gives them, and again when they are gone.
GIVEN_ONLY = {
    "serving-token": Secret(64, 16, None),
    "backup-s3-access-key": Secret(20, 3, None, foreign=True),
    "backup-s3-secret-key": Secret(40, 12, None, foreign=True),
}

# The same, but text of several lines: both or neither.
CERTIFICATE = ("tls-certificate", "tls-key")

_S3_INI = "[default]\naws_access_key_id = {%s}\naws_secret_access_key = {%s}\n"
_TRACKING = {
    "pgpass": (
        "postgres:5432:mlflow:mlflow:{mlflow-password}\n"
        "postgres:5432:logins:mlflow:{mlflow-password}\n"
    ),
    "s3.ini": _S3_INI % ("s3-access-key", "s3-secret-key"),
    "kek-passphrase": "{kek-passphrase}",
    "flask-secret-key": "{flask-secret-key}",
}

READERS = {
    "postgres": Reader(POSTGRES, {"password": "{postgres-password}"}),
    "database": Reader(
        POSTGRES,
        {
            "postgres-password": "{postgres-password}",
            "mlflow-password": "{mlflow-password}",
            "monitor-password": "{monitor-password}",
        },
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
    "tracking": Reader(TRACKING, _TRACKING, uses_stores=True),
    # In the team overlay: also makes the logins.
    "migrate": Reader(
        TRACKING,
        {
            **_TRACKING,
            "admin-password": "{admin-password}",
            "serving-password": "{serving-password}",
        },
        uses_stores=True,
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
    "prometheus": Reader(PROMETHEUS, {"metrics-token": "{metrics-token}"}),
    "postgres-exporter": Reader(POSTGRES_EXPORTER, {"password": "{monitor-password}"}),
    "grafana": Reader(
        GRAFANA, {"admin-password": "{grafana-password}", "secret-key": "{grafana-secret-key}"}
    ),
    "backup": Reader(
        BACKUP,
        {
            "pgpass": "*:*:*:*:{mlflow-password:pgpass}\n",
            "s3.ini": _S3_INI % ("s3-access-key", "s3-secret-key"),
            "password": "{backup-password}",
            "backup-s3.ini": _S3_INI % ("backup-s3-access-key", "backup-s3-secret-key"),
        },
        by_group=True,
    ),
}


@dataclass(frozen=True)
class External:
    """A part of the stack that is the team's own server elsewhere.

    wanted: secrets of that server, which the user gives, and what each is. unused: those of the
    container that there is not. volume: where its data would be. readers: one-shots and services
    that there are not. files: what those who use the stores read in place of the stack's own.
    certificate: of the CA that signed the server's; a file that may be given.
    """

    wanted: dict[str, str]
    unused: tuple[str, ...]
    volume: str
    readers: tuple[str, ...]
    files: dict[str, str]
    certificate: str


# STACK_POSTGRES=external and STACK_S3=external, which the overlays of Compose set.
EXTERNAL = {
    "postgres": External(
        {"mlflow-password": "the password of POSTGRES_USER in your PostgreSQL"},
        ("postgres-password",),
        "postgres-data",
        ("postgres", "database"),
        # Whatever the server is called: tracking knows one alone.
        {"pgpass": "*:*:*:*:{mlflow-password:pgpass}\n"},
        "postgres-ca.pem",
    ),
    "s3": External(
        {
            "s3-access-key": "the access key ID of the user for S3_BUCKET",
            "s3-secret-key": "the secret access key of the user for S3_BUCKET",
        },
        ("minio-root-user", "minio-root-password"),
        "minio-data",
        ("minio", "bucket"),
        {},
        "s3-ca.pem",
    ),
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
    "prometheus-data": PROMETHEUS,
    "grafana-data": GRAFANA,
    "backup-work": BACKUP,
}

# The container `backup` runs in the group that these are for, as the user who called `make`: so
# the files of a repository in a folder are that user's own.
BY_GROUP = {"backup-work"}

# Readers and volumes that overlays alone mount: left out where they are not there.
OF_TEAM = {"migrate", "gateway", "serving-tokens", "gateway-data"}
OF_MONITORING = {"prometheus", "postgres-exporter", "grafana", "prometheus-data", "grafana-data"}
OVERLAYS = OF_TEAM | OF_MONITORING
