"""What the registry says is to be served: one search a poll finds every alias that moved."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from model_server.following.wanted import Wanted

SEARCH = "/api/2.0/mlflow/registered-models/search"
GET_VERSION = "/api/2.0/mlflow/model-versions/get"
PAGE = 1000
"""Models a page; MLflow allows no more."""


class RegistryError(Exception):
    """The registry gave no usable answer; the text says why."""


@dataclass(frozen=True)
class Target:
    """One version to be served, and why."""

    name: str
    """The name it is served under."""
    version: str
    uri: str
    """Where its files are: for the fetcher, or a folder of this machine."""
    identity: str
    """Equal only for the same files: a number can come back with other content behind it, in a
    database made anew or after a version was deleted."""
    because: str
    tags: dict[str, str] = field(default_factory=dict, compare=False)
    """The version's own, as they were when the registry was asked for it."""

    @property
    def is_folder(self) -> bool:
        return "://" not in self.uri and ":/" not in self.uri


@dataclass(frozen=True)
class Missing:
    """A wanted model that there is nothing to serve for."""

    name: str
    because: str
    problem: str


Desired = dict[str, Target | Missing]


class Registry:
    """Asks a tracking server with the credentials and TLS settings of MLflow's own variables."""

    def __init__(self, uri: str, credentials: dict[str, str], alias: str) -> None:
        self._alias = alias
        self.because = f"alias {alias}"
        self._identities: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
        get = credentials.get
        headers = {}
        if token := get("MLFLOW_TRACKING_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
        user = get("MLFLOW_TRACKING_USERNAME")
        insecure = get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
        self._http = httpx.AsyncClient(
            base_url=uri,
            headers=headers,
            auth=(user, get("MLFLOW_TRACKING_PASSWORD", "")) if user else None,
            verify=get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not insecure,
            timeout=httpx.Timeout(10, connect=2),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def desired(self, wanted: Sequence[Wanted]) -> Desired:
        """By served name. Without `wanted`, every model that carries the alias.
        Raises RegistryError when the registry cannot be asked."""
        models = {model["name"]: model async for model in self._models()}
        if not wanted:
            wanted = [
                Wanted(text=name, name=name, model=name, alias=self._alias)
                for name, model in models.items()
                if self._alias in _aliases(model)
            ]
            because = self.because
        else:
            because = None
        found = await asyncio.gather(
            *(
                self._resolve(entry, models.get(entry.model), because or entry.because)
                for entry in wanted
            )
        )
        return {target.name: target for target in found}

    async def _resolve(self, entry: Wanted, model: dict | None, because: str) -> Target | Missing:
        if model is None:
            return Missing(entry.name, because, "no such registered model")
        version = entry.version or _aliases(model).get(entry.alias)
        if version is None:
            return Missing(entry.name, because, f"no version has the alias {entry.alias}")
        identity = await self._identity(model, version)
        if identity is None:
            return Missing(entry.name, because, f"there is no version {version}")
        uri = f"models:/{entry.model}/{version}"
        return Target(entry.name, version, uri, identity, because)

    async def _identity(self, model: dict, version: str) -> str | None:
        """Asked for only when the model's entry changed since: a new version, or a new database,
        changes its times."""
        times = (
            int(model.get("creation_timestamp", 0)),
            int(model.get("last_updated_timestamp", 0)),
        )
        key = (model["name"], version)
        known = self._identities.get(key)
        if known and known[0] == times:
            return known[1]
        try:
            answer = await self._get(GET_VERSION, {"name": model["name"], "version": version})
        except _NotFoundError:
            return None
        entry = answer["model_version"]
        facts = [model["name"], version]
        facts += [entry.get(key) for key in ("source", "model_id", "run_id", "creation_timestamp")]
        identity = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        self._identities[key] = (times, identity)
        return identity

    async def _models(self):
        token = None
        while True:
            parameters = {"max_results": PAGE} | ({"page_token": token} if token else {})
            page = await self._get(SEARCH, parameters)
            for model in page.get("registered_models", []):
                yield model
            token = page.get("next_page_token")
            if not token:
                return

    async def _get(self, path: str, parameters: dict) -> dict:
        try:
            response = await self._http.get(path, params=parameters)
            if response.status_code == 404:
                raise _NotFoundError(path)
            response.raise_for_status()
            return response.json()
        except httpx.HTTPStatusError as error:
            raise RegistryError(f"it answered {error.response.status_code}") from None
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryError(str(error) or type(error).__name__) from None


class _NotFoundError(RegistryError):
    pass


def without_registry(wanted: Sequence[Wanted]) -> Desired:
    """Entries that name a folder or a URI; they need no question and never move."""
    return {
        entry.name: Target(
            name=entry.name,
            version="1",
            uri=_local(entry.uri),
            identity=hashlib.sha256(f"{entry.name} {_local(entry.uri)}".encode()).hexdigest(),
            because=entry.because,
        )
        for entry in wanted
        if entry.uri is not None
    }


def _local(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in ("", "file") and not uri.startswith("models:"):
        return str(Path(parts.path if parts.scheme else uri).expanduser().absolute())
    return uri


def _aliases(model: dict) -> dict[str, str]:
    return {entry["alias"]: str(entry["version"]) for entry in model.get("aliases", [])}
