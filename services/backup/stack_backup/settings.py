"""Where things are: variables of the container, read once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stack_backup.errors import RefusedError

PERIODS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True)
class Settings:
    """database: URL of MLflow's, without a password. artifacts: s3://BUCKET[/PREFIX].
    repository: s3://BUCKET[/PREFIX] or a folder. keep: as restic's `forget` takes it.
    secrets: folder of the files that hold passwords. work: folder of the mirror."""

    database: str
    artifacts: str
    artifacts_endpoint: str
    repository: str
    repository_endpoint: str
    repository_region: str
    keep: tuple[str, ...]
    secrets: Path
    work: Path


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the environment. Raises RefusedError naming the variable."""
    artifacts = environ["TRACKING_ARTIFACT_STORE"].rstrip("/")
    if not artifacts.startswith("s3://"):
        raise RefusedError(f"TRACKING_ARTIFACT_STORE={artifacts}: only s3:// can be backed up here")
    return Settings(
        database=environ["TRACKING_BACKEND_STORE"].replace("+psycopg2", "", 1),
        artifacts=artifacts,
        artifacts_endpoint=environ.get("TRACKING_S3_ENDPOINT", ""),
        repository=_repository(environ.get("BACKUP_REPOSITORY") or "/repository"),
        repository_endpoint=_endpoint(environ.get("BACKUP_ENDPOINT", "")),
        repository_region=environ.get("BACKUP_REGION", ""),
        keep=_keep(environ.get("BACKUP_KEEP", "")),
        secrets=Path(environ.get("BACKUP_SECRETS", "/run/stack")),
        work=Path(environ.get("BACKUP_WORK", "/work")),
    )


def _repository(value: str) -> str:
    if value.startswith("s3://"):
        if not urlsplit(value).netloc or "@" in urlsplit(value).netloc:
            raise RefusedError(f"{value}: expected s3://BUCKET or s3://BUCKET/PREFIX")
        return value.rstrip("/")
    if not value.startswith("/"):
        raise RefusedError(f"{value}: expected a folder or s3://BUCKET/PREFIX")
    return value


def _endpoint(value: str) -> str:
    url = urlsplit(value)
    if value and (url.scheme not in ("http", "https") or not url.netloc or "@" in url.netloc):
        raise RefusedError(f"BACKUP_ENDPOINT={value}: expected http(s)://HOST[:PORT]")
    return value.rstrip("/")


def _keep(text: str) -> tuple[str, ...]:
    """BACKUP_KEEP as options: "last=3,daily=7" keeps the last three and one of each of 7 days."""
    options: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(rf"({'|'.join(PERIODS)})=([1-9]\d{{0,4}})", part)
        if not match:
            raise RefusedError(
                f"BACKUP_KEEP: expected PERIOD=COUNT, comma-separated, with "
                f"{', '.join(PERIODS)} as periods, found {part}"
            )
        options += [f"--keep-{match[1]}", match[2]]
    if not options:
        raise RefusedError("BACKUP_KEEP: expected what to keep, as last=3,daily=7; found nothing")
    return tuple(options)
