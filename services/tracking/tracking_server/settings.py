"""Everything an operator may set: TRACKING_* variables, read and checked once."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tracking_server.errors import RefusedError

PREFIX = "TRACKING_"
POSTGRES = "postgresql+psycopg2://"
SQLITE = "sqlite:///"
ARTIFACT_ROOT = "mlflow-artifacts:/"
# Without those that fall back to no TLS in silence.
SSL_MODES = ("verify-full", "verify-ca", "require", "disable")
DATABASE_NAME = re.compile(r"[A-Za-z0-9_-]+")
PREFIX_OF_ADDRESSES = re.compile(
    r"(mlflow-artifacts:/(?!\d+(/|$))|s3://(?=[^/])|(file://)?/)(?!\.{1,2}(/|$))[^/\\?#%\s]+"
    r"(/(?!\.{1,2}(/|$))[^/\\?#%\s]+)*"
)
LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
HOST_NAME = re.compile(rf"{LABEL}(\.{LABEL})*")


class Settings(BaseSettings):
    """The settings of one tracking server; every field is `TRACKING_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    backend_store: str = Field(
        description=f"{POSTGRES}USER@HOST:PORT/DATABASE without a password, or {SQLITE}/FILE"
    )
    logins: str = Field(
        "",
        description=f"{POSTGRES}... or {SQLITE}...: database of users; a name alone is one on the "
        "backend store's server; empty: everyone is let in",
    )
    default_permission: Literal["READ", "USE", "EDIT", "MANAGE", "NO_PERMISSIONS"] = Field(
        "READ", description="what a user may do with what others made"
    )
    artifact_store: str = Field(description="s3://BUCKET[/PREFIX] or an absolute folder")
    artifact_prefixes: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="addresses below which artifacts may lie besides, separated by commas: "
        f"{ARTIFACT_ROOT}FOLDER, s3://BUCKET[/PREFIX], or a folder to read from",
    )
    secrets: Path = Field(
        description="folder with kek-passphrase, flask-secret-key; pgpass for PostgreSQL; "
        "s3.ini for S3"
    )
    s3_endpoint: str = Field("", description="http(s)://HOST[:PORT] of an S3 server; empty: AWS")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(5000, ge=1, le=65535, description="port to listen on")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="port for Prometheus to ask at; unset: nothing is counted"
    )
    names: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="further host names and IP addresses to answer to, separated by commas; "
        "in the stack they come from STACK_NAMES",
    )
    body_limit: int = Field(
        32 * 2**20, ge=2**20, description="largest body of a request that is no artifact, in bytes"
    )
    fast: bool = Field(
        True,
        description="answer the most frequent calls by statements of this server's own; with "
        "logins, where both databases are on PostgreSQL, and no traces",
    )
    workers: int = Field(2, ge=1, le=64, description="server processes")
    patience: float = Field(
        60, ge=0, description="seconds to wait at start for a database that does not answer"
    )
    grace: int = Field(
        30, ge=1, description="seconds that requests in flight get when stopped, 5 more to clean up"
    )
    backups: Path | None = Field(
        None, description="folder for the backup that is made before a schema upgrade"
    )
    backup_watched: bool = Field(
        True, description="say when the last backup was made; off where others make them"
    )

    @field_validator("logins", mode="before")
    @classmethod
    def _beside_the_backend_store(cls, value: str, info: ValidationInfo) -> str:
        store: str = info.data.get("backend_store", "")
        if DATABASE_NAME.fullmatch(value) and store.startswith(POSTGRES):
            return str(urlsplit(store)._replace(path=f"/{value}").geturl())
        return value

    @field_validator("backend_store", "logins")
    @classmethod
    def _known_backend(cls, value: str) -> str:
        if not value:
            return value
        if value.startswith(POSTGRES):
            url = urlsplit(value)
            if url.password is not None or "password" in parse_qs(url.query):
                raise ValueError(
                    "must not hold a password, it would show in process lists and logs: "
                    f"put it into the file pgpass in {PREFIX}SECRETS"
                )
            if not url.path.strip("/"):
                raise ValueError("names no database: end it with /DATABASE")
            for mode in parse_qs(url.query).get("sslmode", []):
                if mode not in SSL_MODES:
                    raise ValueError(
                        f"sslmode={mode} (POSTGRES_SSLMODE) must be one of {', '.join(SSL_MODES)}"
                    )
            return value
        if value.startswith(SQLITE):
            if not value.removeprefix(SQLITE).startswith("/"):
                raise ValueError("needs an absolute path: sqlite:////absolute/file")
            return value
        raise ValueError(f"must begin with {POSTGRES} or {SQLITE}/")

    @field_validator("artifact_store")
    @classmethod
    def _known_artifacts(cls, value: str) -> str:
        if value.startswith("s3://"):
            if not urlsplit(value).netloc:
                raise ValueError("names no bucket: s3://BUCKET")
            return value.rstrip("/")
        if not value.startswith("/"):
            raise ValueError("must be s3://BUCKET or an absolute folder")
        return value

    @field_validator("artifact_prefixes", "names", mode="before")
    @classmethod
    def _split(cls, value: Any, info: ValidationInfo) -> Any:
        written = _host_name if info.field_name == "names" else _prefix
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        return tuple(dict.fromkeys(written(part) for part in value if part))

    @field_validator("s3_endpoint")
    @classmethod
    def _endpoint_is_a_url(cls, value: str) -> str:
        url = urlsplit(value)
        if value and (url.scheme not in ("http", "https") or not url.netloc):
            raise ValueError("must be http://HOST:PORT or https://HOST:PORT")
        if "@" in url.netloc:
            raise ValueError(f"must not hold credentials: put them into s3.ini in {PREFIX}SECRETS")
        return value

    @field_validator("secrets", "backups")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be an absolute folder")
        return value

    @model_validator(mode="after")
    def _endpoint_has_a_use(self) -> Settings:
        if self.s3_endpoint and not self.on_s3:
            raise ValueError(f"{PREFIX}S3_ENDPOINT is set, but {PREFIX}ARTIFACT_STORE is no s3://")
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        if self.metrics_port == self.port:
            raise ValueError(f"{PREFIX}METRICS_PORT must be another port than {PREFIX}PORT")
        return self

    @property
    def on_postgres(self) -> bool:
        """Whether the backend store is PostgreSQL."""
        return self.backend_store.startswith(POSTGRES)

    @property
    def on_s3(self) -> bool:
        """Whether artifacts lie on S3."""
        return self.artifact_store.startswith("s3://")

    @property
    def sslmode(self) -> str:
        """What TLS to PostgreSQL must be; "" where the URL does not say."""
        return parse_qs(urlsplit(self.backend_store).query).get("sslmode", [""])[-1]

    @property
    def bucket(self) -> str:
        """The bucket of an artifact store on S3."""
        return urlsplit(self.artifact_store).netloc


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the environment.

    Raises:
        RefusedError: one line naming the variable and what is expected of it.
    """
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    for name in environment:
        # Others use the prefix too (TRACKING_MEMORY is compose's); a slip is another matter.
        meant = name.startswith(PREFIX) and get_close_matches(name, known, n=1, cutoff=0.9)
        if meant and name not in known:
            raise RefusedError(f"{name} is not a setting: did you mean {meant[0]}?")
    try:
        return Settings()
    except ValidationError as error:
        raise RefusedError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    """The first problem of a validation, as a sentence about a variable."""
    problem = error.errors(include_url=False)[0]
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    field = str(problem["loc"][0])
    name = f"{PREFIX}{field.upper()}"
    expected = Settings.model_fields[field].description
    if problem["type"] == "missing":
        return f"{name} is not set: {expected}"
    message = problem["msg"].removeprefix("Value error, ")
    # A URL may hold a password, so that it is not repeated.
    value = "" if "://" in str(problem["input"]) else f"={problem['input']!r}"
    return f"{name}{value}: {message} (expected: {expected})"


def _prefix(prefix: str) -> str:
    """A beginning of addresses. Folders that are numbers are experiments' own."""
    if not PREFIX_OF_ADDRESSES.fullmatch(prefix := prefix.rstrip("/")):
        raise ValueError(
            f"{prefix!r} is neither {ARTIFACT_ROOT}FOLDER (no number), s3://BUCKET[/PREFIX] nor an "
            "absolute folder, without . and .."
        )
    return prefix


def _host_name(name: str) -> str:
    """A host name or address as it stands in a Host header, without a port."""
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        if HOST_NAME.fullmatch(name):
            return name.lower()
        raise ValueError(
            f"{name!r} is no host name: give plain names without scheme and port, e.g. mlflow.lan"
        ) from None
    return f"[{address}]" if address.version == 6 else str(address)
