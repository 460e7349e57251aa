"""What the registry says is to be served: one search a poll finds every alias that moved."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from model_server.files import expanded
from model_server.following import hints
from model_server.following.answers import (
    STRANGE,
    ModelsPage,
    RegisteredModel,
    RegistryError,
    VersionAnswer,
    VersionsPage,
    read,
)
from model_server.models.target import Target
from model_server.options import SHADOW
from model_server.wanted import Wanted

SEARCH = "/api/2.0/mlflow/registered-models/search"
SEARCH_VERSIONS = "/api/2.0/mlflow/model-versions/search"
GET_VERSION = "/api/2.0/mlflow/model-versions/get"
PAGE = 1000
"""Models or versions a page; of models MLflow allows no more."""
TIMEOUT = 60
"""Seconds for one look, however many questions it takes."""
AT_ONCE = 16
"""Questions on single versions: more would only queue in the tracking server."""


@dataclass(frozen=True)
class Missing:
    """A name that there is nothing to serve for."""

    name: str
    because: str
    problem: str | None
    state: str = "missing"


Desired = dict[str, Target | Missing]


@dataclass(frozen=True)
class _Facts:
    """What a version's own entry says. Asked for again when the model's entry changed since: a
    new version, or a new database, changes its times."""

    times: tuple[int, int]
    identity: str
    tags: dict[str, str]


class Registry:
    """Asks a tracking server with the credentials and TLS settings of MLflow's own variables."""

    def __init__(self, uri: str, credentials: dict[str, str], alias: str) -> None:
        self.alias = alias
        """That every model is served by which carries it."""
        self.models: dict[str, RegisteredModel] = {}
        """Every registered model, as of the last look."""
        self.because = f"alias {alias}"
        self._facts: dict[str, _Facts] = {}
        """Known facts by URI. What a look does not need is forgotten, so a version that an alias
        moves to is asked for anew, and its tags are those of that moment."""
        self._questions = asyncio.Semaphore(AT_ONCE)
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
        """Close its connections."""
        await self._http.aclose()

    async def desired(
        self, wanted: Sequence[Wanted], carriers: bool, timeout: float = TIMEOUT
    ) -> Desired:
        """What `wanted` asks for, by served name; with `carriers` every model that carries the
        alias as well. Raises RegistryError when the registry cannot be asked."""
        desired = await self._within(timeout, self._desired(wanted, carriers))
        needed = {target.uri for target in desired.values() if isinstance(target, Target)}
        self._facts = {uri: facts for uri, facts in self._facts.items() if uri in needed}
        return desired

    async def resolve(self, entry: Wanted) -> Target | Missing:
        """What one entry asks for. Raises RegistryError."""
        return (await self._within(TIMEOUT, self._desired([entry], carriers=False)))[entry.name]

    async def every_version(self) -> list[Wanted]:
        """Every version of every registered model, one entry each. Raises RegistryError."""
        versions = [one async for one in self._search(SEARCH_VERSIONS, VersionsPage)]
        versions.sort(key=lambda one: (one.name, int(one.version)))
        uris = [f"models:/{one.name}/{one.version}" for one in versions]
        return [
            Wanted(uri, uri, "it is registered", one.name, version=one.version)
            for uri, one in zip(uris, versions, strict=True)
        ]

    def forget(self, target: Target) -> None:
        """Its tags may have changed, which its model's times do not tell."""
        self._facts.pop(target.uri, None)

    async def _within(self, timeout: float, work: Coroutine[None, None, Desired]) -> Desired:
        try:
            async with asyncio.timeout(timeout):
                return await work
        except TimeoutError:
            raise RegistryError(f"no answer within {timeout:g} s") from None

    async def _desired(self, wanted: Sequence[Wanted], carriers: bool) -> Desired:
        models = {model.name: model async for model in self._search(SEARCH, ModelsPage)}
        self.models = models
        asked = {entry.name: entry for entry in wanted}
        if carriers:
            asked = {
                name: Wanted(name, name, self.because, name, self.alias)
                for name, model in models.items()
                if model.version(self.alias)
            } | asked
        targets = await self._resolve_all(asked.values(), models)
        return targets | await self._resolve_all(_shadows(asked, targets, models), models)

    async def _resolve_all(
        self, entries: Iterable[Wanted], models: dict[str, RegisteredModel]
    ) -> Desired:
        targets = await asyncio.gather(
            *(self._resolve(entry, models.get(entry.model or "")) for entry in entries)
        )
        return {target.name: target for target in targets}

    async def _resolve(self, entry: Wanted, model: RegisteredModel | None) -> Target | Missing:
        if model is None:
            return Missing(entry.name, entry.because, "no such registered model")
        version = entry.version or model.version(entry.alias)
        if version is None:
            return Missing(entry.name, entry.because, hints.lacks(entry.alias or "", model))
        uri = f"models:/{entry.model}/{version}"
        try:
            facts = await self._learn(uri, model, version)
        except _RefusedError:
            problem = f"the registry does not take its name, {entry.model!r}, or {version!r}"
            return Missing(entry.name, entry.because, problem)
        if facts is None:
            return Missing(entry.name, entry.because, f"there is no version {version}")
        return Target(
            entry.name, version, uri, facts.identity, entry.because, facts.tags, entry.shadows
        )

    async def _learn(self, uri: str, model: RegisteredModel, version: str) -> _Facts | None:
        times = (model.creation_timestamp, model.last_updated_timestamp)
        known = self._facts.get(uri)
        if known and known.times == times:
            return known
        try:
            async with self._questions:
                asked = {"name": model.name, "version": version}
                entry = read(await self._get(GET_VERSION, asked), VersionAnswer).model_version
        except _NotFoundError:
            return None
        facts: list[object] = [model.name, version, entry.source, entry.model_id, entry.run_id]
        facts.append(entry.creation_timestamp)
        identity = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        tags = {tag.key: tag.value for tag in entry.tags}
        learnt = self._facts[uri] = _Facts(times, identity, tags)
        return learnt

    async def _search(self, path: str, kind: type[ModelsPage | VersionsPage]) -> AsyncIterator[Any]:
        """What is on all pages of an answer. Raises RegistryError."""
        token = None
        while True:
            asked = {"max_results": PAGE} | ({"page_token": token} if token else {})
            content = await self._get(path, asked)
            page = read(content, kind)
            if not page.entries and content.strip() != b"{}":
                raise RegistryError(STRANGE)
            for one in page.entries:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def _get(self, path: str, asked: dict[str, Any]) -> bytes:
        try:
            response = await self._http.get(path, params=asked)
            if response.status_code == 404:
                raise _NotFoundError("it answered 404")
            if response.status_code == 400:
                raise _RefusedError("it answered 400")
            response.raise_for_status()
            return response.content
        except httpx.HTTPStatusError as error:
            raise RegistryError(f"it answered {error.response.status_code}") from None
        except httpx.HTTPError as error:
            raise RegistryError(str(error) or type(error).__name__) from None


class _NotFoundError(RegistryError):
    pass


class _RefusedError(RegistryError):
    """The question itself: of one version, it is no reason to hold up the others."""


def _shadows(
    asked: dict[str, Wanted], targets: Desired, models: dict[str, RegisteredModel]
) -> Iterator[Wanted]:
    """The version that shadows each one whose tag names an alias: that of its model with this
    alias, if it is another. What is asked for, or registered, under the shadow's name goes before
    it."""
    for name, entry in asked.items():
        target = targets[name]
        alias = target.tags.get(SHADOW) if isinstance(target, Target) else None
        if not isinstance(target, Target) or not alias:
            continue
        version = models[entry.model or ""].version(alias)
        shadow = f"{name}@{alias}"
        is_taken = shadow in asked or shadow in models
        if version and version != target.version and not is_taken:
            yield Wanted(entry.text, shadow, f"shadow of {name}", entry.model, alias, shadows=name)


def in_local_store(entry: Wanted) -> Wanted:
    """The same as a URI that the fetcher resolves, for a store that no server answers for: once a
    start, as is said in `because`."""
    if entry.uri is not None:
        return entry
    mark, part = ("/", entry.version) if entry.version else ("@", entry.alias)
    because = f"{entry.because}, looked up at {time.strftime('%H:%M:%S')}, at the start"
    return replace(entry, uri=f"models:/{entry.model}{mark}{part}", because=because)


def without_registry(wanted: Iterable[Wanted]) -> dict[str, Target]:
    """Entries that name a folder or a URI; they need no question."""
    return {
        entry.name: Target(
            name=entry.name,
            version=entry.version or entry.alias or "1",
            uri=_local(entry.uri),
            identity=_identity(entry),
            because=entry.because,
        )
        for entry in wanted
        if entry.uri is not None
    }


def _identity(entry: Wanted) -> str:
    # What has a name in a local store may be another by the next start.
    start = f" {time.time_ns()}" if entry.model else ""
    return hashlib.sha256(f"{entry.name} {_local(entry.uri or '')}{start}".encode()).hexdigest()


def _local(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in ("", "file") and not uri.startswith("models:"):
        return str(expanded(unquote(parts.path) if parts.scheme else uri).absolute())
    return uri
