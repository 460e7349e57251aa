"""Every setting in one table: a SERVING_* variable, a flag, a default and one line each.

A flag wins over its variable. A wrong value stops the start with one line that names it.
"""

import argparse
import ipaddress
import logging
import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from model_server.files import expanded
from model_server.network import rules
from model_server.wanted import Wanted, WantedError, entry_for, parse_wanted

log = logging.getLogger(__name__)

MIB = 2**20
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVERS = ("http://", "https://")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")


class SettingsError(Exception):
    """One line: which variable or flag, its value, what would be right."""


def _tracking_uri(uri: str | None) -> str | None:
    """The URI, if it is one of a server or of a store on this machine that is there."""
    if not uri or uri.startswith(_SERVERS):
        return uri.rstrip("/") if uri else None
    scheme, colon, rest = uri.partition(":")
    if scheme == "sqlite" and not Path(rest.removeprefix("///").partition("?")[0]).is_file():
        raise ValueError("there is no such file")
    is_folder = Path(unquote(urlsplit(uri).path) if scheme == "file" else uri).is_dir()
    if not is_folder and not (colon and scheme.partition("+")[0] in _DATABASES):
        raise ValueError(
            "must be the http(s) address of a tracking server, sqlite:///FILE, or a folder"
        )
    return uri


def _list(text: str | tuple[str, ...]) -> tuple[str, ...]:
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(part.strip() for part in parts if part.strip())


def _names(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_name(name) for name in _list(text))


def _variables(text: str | tuple[str, ...]) -> tuple[str, ...]:
    names = _list(text)
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ValueError("must be names of variables, comma-separated, without values")
    return names


def _folders(text: str | tuple[str, ...]) -> tuple[Path, ...]:
    paths = tuple(expanded(path) for path in _list(text))
    for path in paths:
        if not path.is_absolute() or path == Path("/"):
            raise ValueError("must be absolute paths, comma-separated, and not all of /")
    return paths


def _name(name: str) -> str:
    """A name as it stands in a Host header, without a port."""
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        if _HOST.fullmatch(name):
            return name
        raise ValueError(
            f"{name!r} is no host name: plain names, without scheme and port"
        ) from None
    return f"[{address}]" if address.version == 6 else str(address)


def _network(text: str) -> str:
    rules.of_setting(text)
    return text


def _level(level: str) -> str:
    if level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be debug, info, warning or error")
    return level.upper()


def _environments(value: str | bool) -> str:
    """A switch, before there was a third way."""
    switch = {"true": "own", "1": "own", "false": "off", "0": "off"}
    return switch.get(str(value).lower(), str(value).lower())


def _cache_default() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "model-server"


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0, lt=2**31)]


class Settings(BaseSettings):
    """Every setting, checked."""

    model_config = SettingsConfigDict(
        env_prefix="SERVING_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    names: Annotated[str, AfterValidator(_names)] = Field(
        "", description="further host names to answer to, at any port, comma-separated"
    )
    models: str = Field(
        "",
        description="what to serve, comma-separated: name, name@alias, name/3, name=URI or folder; "
        "empty: every registered model that carries the alias",
    )
    alias: str = Field("champion", min_length=1, description="the alias that is followed")
    default: str | None = Field(
        None, description="the model behind /invocations; empty: the only one"
    )
    tracking_uri: Annotated[str | None, AfterValidator(_tracking_uri)] = Field(
        None,
        validation_alias="MLFLOW_TRACKING_URI",
        description="the tracking server whose registry is followed, or a local store "
        "(sqlite:///FILE or a folder) that SERVING_MODELS names models of; empty: none",
    )
    poll: Seconds = Field(0.5, description="seconds between two looks at the registry")
    cache: Path = Field(
        default_factory=_cache_default, description="folder that keeps fetched versions"
    )
    cache_limit: int = Field(
        10240,
        ge=0,
        description="MiB of fetched versions; what is served always stays, 0 keeps nothing else",
    )
    token_file: Path | None = Field(
        None,
        description="file with the token for load, unload and deploy; without one they are off",
    )
    token_store: Path | None = Field(
        None,
        description="file of the tokens made by `model-server tokens`; default: tokens.json in "
        "SERVING_CACHE",
    )
    metrics_token_file: Path | None = Field(
        None, description="file with a token that opens /metrics and nothing else"
    )
    tokens_required: bool = Field(
        False, description="answer nobody without a token, but for health"
    )
    tracking_login_file: Path | None = Field(
        None,
        description="file with USER:PASSWORD for the tracking server; without one, as "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD say",
    )

    body_limit: Bytes = Field(16 * MIB, description="bytes of a request's body; more: 413")
    answer_limit: Bytes = Field(
        64 * MIB, description="bytes of a model's answer; more: 400, since memory has to hold it"
    )
    header_timeout: Seconds = Field(10, description="seconds for a request's head to arrive")
    body_timeout: Seconds = Field(30, description="seconds for a body to arrive; longer: 408")
    buffer_limit: Count = Field(
        256 * MIB, description="bytes of all bodies held at one time; more: 429"
    )
    queue_limit: Count = Field(
        1024, description="requests waiting for one model; more: 429 with Retry-After"
    )
    concurrency: Count = Field(
        4096, description="requests in the server at one time; more: 503 with Retry-After"
    )
    timeout: Seconds = Field(
        60, description="seconds from body to answer; longer: 504, and a hung worker is restarted"
    )
    load_timeout: Seconds = Field(300, description="seconds for a version to load and warm up")
    fetch_timeout: Seconds = Field(900, description="seconds for a version's files to arrive")
    loads: Count = Field(4, description="versions fetched and loaded at one time")
    threads: int = Field(
        16,
        ge=1,
        le=256,
        description="requests that a worker answers at one time, where their rows are not merged "
        "and the model's code is its own",
    )
    blas_threads: Count = Field(1, description="BLAS and OpenMP threads of a worker")
    batch: Literal["auto", "on", "off"] = Field(
        "auto",
        description="merge the rows of waiting requests: auto does where they are independent",
    )
    fast: bool = Field(
        True, description="let a faster engine predict where it is proven to give the same answers"
    )
    strict: bool = Field(
        False, description="refuse requests of which MLflow would silently change something"
    )
    replicas: int = Field(1, ge=1, le=64, description="worker processes a model")
    worker_memory: int = Field(
        0, ge=0, description="MiB that a worker may use, more: restarted; 0 for no limit"
    )
    worker_variables: Annotated[str, AfterValidator(_variables)] = Field(
        "",
        description="variables that workers get although they look like credentials, "
        "comma-separated: AWS_REGION",
    )
    confinement: Literal["on", "required", "off"] = Field(
        "on",
        description="keep models to their own files: on, as far as this machine can; required "
        "serves none where it cannot wholly; off lets them reach what the server may",
    )
    folders: Annotated[str, AfterValidator(_folders)] = Field(
        "", description="further files and folders that models may read, comma-separated"
    )
    network: Annotated[str, AfterValidator(_network)] = Field(
        "",
        description="what models may reach: empty for what the tag serving.network names, off for "
        "nothing, on for everything, or hosts that all may reach as well, comma-separated "
        "(db.internal:5432); :5432 is that TCP port anywhere",
    )
    idle: float = Field(
        0, ge=0, description="seconds without a request until a model sleeps; 0 for never"
    )
    environments: Annotated[Literal["own", "here", "off"], BeforeValidator(_environments)] = Field(
        "own",
        description="where the server's does not fit a model: own builds it one, here tries with "
        "what is here and warns, off refuses it",
    )
    build_timeout: Seconds = Field(900, description="seconds to build one environment")
    grace: Seconds = Field(20, description="seconds that running requests get at shutdown")
    log_level: Annotated[str, AfterValidator(_level)] = Field(
        "info", description="debug, info, warning or error"
    )

    @property
    def known_names(self) -> tuple[str, ...]:
        """Host names that the server answers to, beside the local ones."""
        if self.host in ("", "0.0.0.0", "::"):  # noqa: S104
            return tuple(self.names)
        return (*self.names, f"[{self.host}]" if ":" in self.host else self.host)

    @property
    def registry(self) -> str | None:
        """The address of the tracking server whose registry is followed."""
        uri = self.tracking_uri
        return uri if uri and uri.startswith(_SERVERS) else None

    @property
    def kept_tokens(self) -> Path:
        """The file of the tokens made by `model-server tokens`."""
        return self.token_store or self.cache / "tokens.json"

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """Entries of SERVING_MODELS."""
        return parse_wanted(self.models, self.alias)


def load(arguments: list[str]) -> Settings:
    """Settings from flags and environment. Raises SettingsError; `--help` and bad flags exit."""
    flags = {
        name: value
        for name, value in vars(_parser().parse_args(arguments)).items()
        if value is not None
    }
    if bare := flags.pop("bare"):
        flags["models"] = ",".join(filter(None, (flags.get("models"), *map(entry_for, bare))))
    # The registry's address keeps MLflow's own variable name, which pydantic calls its alias.
    values = {
        ("MLFLOW_TRACKING_URI" if name == "tracking_uri" else name): value
        for name, value in flags.items()
    }
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        name = "tracking_uri" if name == "MLFLOW_TRACKING_URI" else name
        raise SettingsError(_line(name, name in flags, first["input"], first["msg"])) from None
    try:
        wanted = settings.wanted
    except WantedError as error:
        line = _line("models", "models" in flags, settings.models, str(error))
        raise SettingsError(line) from None
    _check(settings, wanted)
    _warn_of_unknown()
    return settings


def _check(settings: Settings, wanted: tuple[Wanted, ...]) -> None:
    if settings.registry is None:
        if not wanted:
            raise SettingsError(
                "SERVING_MODELS: nothing to serve: set it to name=FOLDER, "
                + (
                    "or to name/3 or name@alias of the store in MLFLOW_TRACKING_URI"
                    if settings.tracking_uri
                    else "or set MLFLOW_TRACKING_URI to follow a registry"
                )
            )
        for entry in wanted:
            if entry.needs_registry and not (settings.tracking_uri or _has_default_store()):
                raise SettingsError(
                    f"SERVING_MODELS: {entry.text!r} is in a registry: set MLFLOW_TRACKING_URI"
                )
    else:
        _check_certificates()
        tracking_login(settings)
    if settings.default and wanted and settings.default not in {entry.name for entry in wanted}:
        log.warning(
            "the default model is not among those to serve",
            extra={"default": settings.default, "models": settings.models},
        )


def _has_default_store() -> bool:
    """Whether MLflow's own default is here: what it logs to, started in this folder."""
    return Path("mlflow.db").is_file() or Path("mlruns").is_dir()


def _check_certificates() -> None:
    """Check the tracking server's: MLflow's own variable, a file or a folder."""
    path = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
    if not path:
        return
    is_folder = Path(path).is_dir()
    try:
        ssl.create_default_context(
            cafile=None if is_folder else path, capath=path if is_folder else None
        )
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"MLFLOW_TRACKING_SERVER_CERT_PATH={path!r}: no certificates: {error.strerror or error}"
        ) from None


def tracking_login(settings: Settings) -> dict[str, str]:
    """MLflow's variables for the login of `tracking_login_file`. Raises SettingsError."""
    file = settings.tracking_login_file
    if file is None:
        return {}
    where = f"SERVING_TRACKING_LOGIN_FILE={str(file)!r}"
    try:
        user, colon, password = file.read_text().strip().partition(":")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: {getattr(error, 'strerror', 'not text')}") from None
    if not (user and colon and password):
        raise SettingsError(f"{where}: must hold one line USER:PASSWORD")
    return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}


def variable(name: str) -> str:
    """The variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    return str(alias) if alias else f"SERVING_{name.upper()}"


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def _line(name: str, by_flag: bool, value: object, problem: str) -> str:
    where = f"{flag(name)} {value!r}" if by_flag else f"{variable(name)}={value!r}"
    return f"{where}: {problem.removeprefix('Value error, ')}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model-server",
        description="Serves MLflow models. Each flag is also a variable; the flag wins.",
        epilog="model-server healthy: asks a running server whether it works, exits 0 or 1. "
        "model-server check: loads every registered version, exits 1 if any fails. "
        "model-server tokens: adds, lists, rotates and removes API tokens.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=100),
    )
    parser.add_argument(
        "bare",
        nargs="*",
        metavar="MODEL",
        help="what to serve, instead of SERVING_MODELS: a model's folder or URI, under its own "
        "name, or an entry of SERVING_MODELS",
    )
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, "", ()) else f"; default {default}"
        parser.add_argument(
            flag(name),
            metavar=name.rsplit("_")[-1].upper(),
            help=f"{field.description} [{variable(name)}{shown}]".replace("%", "%%"),
        )
    return parser


def _warn_of_unknown() -> None:
    """Log them only: Kubernetes sets SERVING_SERVICE_HOST and the like for a service's name."""
    known = {variable(name) for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith("SERVING_") and name not in known:
            log.warning("unknown setting ignored", extra={"variable": name})
