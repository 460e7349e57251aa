"""/openapi.json: every address of this server, typed for the models that are served right now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from model_server import __version__
from model_server.following.deployments import Deployments
from model_server.front import operations
from model_server.front.components import COMPONENTS
from model_server.front.exchange import Exchange
from model_server.front.grants import Grant, Need
from model_server.front.routes import GET, JSON, Response, Route
from model_server.processes.wire import Description
from model_server.settings import Settings

ABOUT = """\
Serves MLflow models: one at /invocations and each at /models/{name}/invocations by MLflow's
scoring protocol, and under /v2 by the Open Inference Protocol. Schemas come from the models'
signatures and change with the versions that are served."""


@dataclass(frozen=True)
class Served:
    """A model as this document knows it."""

    name: str
    version: str
    path: str
    """Where its predictions are."""
    description: Description


def routes(settings: Settings, deployments: Deployments) -> list[Route]:
    """The route of the document."""
    return [Route(GET, "/openapi.json", OpenApi(settings, deployments).get, Need.SOME_MODEL)]


PAGES = 64
"""Documents that are kept: one for each set of models that tokens let see."""


class OpenApi:
    """The document, made anew when other versions are served."""

    def __init__(self, settings: Settings, deployments: Deployments) -> None:
        self._manages = settings.token_file is not None
        self._required = settings.tokens_required
        self._deployments = deployments
        self._made: dict[object, tuple[object, bytes]] = {}
        """What a document was made for, and itself, by what the token lets see."""

    async def get(self, exchange: Exchange) -> Response:
        """Answer with the document that fits the token."""
        grant = exchange.grant
        served = list(self._served(grant))
        default = self._deployments.default(grant.permits)
        name = default.name if default else None
        made_for = (served, name)
        manages = grant.manage if self._required else self._manages
        sees = (grant.models, manages)
        made = self._made.get(sees)
        if made is None or made[0] != made_for:
            content = document(served, name, manages=manages, closed=self._required)
            if len(self._made) >= PAGES:
                self._made.clear()
            made = self._made[sees] = (made_for, msgspec.json.encode(content))
        return 200, [JSON], made[1]

    def _served(self, grant: Grant) -> Iterator[Served]:
        for one in self._deployments.visible(grant.permits):
            if version := one.serving:
                number = version.target.version
                yield Served(one.name, number, one.invocations, version.description)


def document(
    served: Sequence[Served], default: str | None, *, manages: bool, closed: bool = False
) -> dict[str, Any]:
    """`default` is the name behind /invocations; `manages`: with deploy, load and unload; `closed`:
    everything but the probes takes a token."""
    of_default = next((one.description for one in served if one.name == default), Description())
    paths = {
        "/invocations": operations.invocations(
            "invoke", "Predict with the default model", of_default
        )
    }
    for position, model in enumerate(served):
        summary = f"Predict with {model.name}, version {model.version}"
        paths[model.path] = operations.invocations(f"invoke_{position}", summary, model.description)
    paths |= operations.ALWAYS
    if manages:
        for path, item in operations.WITH_TOKEN.items():
            paths[path] = paths.get(path, {}) | item
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "model-server", "version": __version__, "description": ABOUT},
        "tags": [{"name": tag, "description": text} for tag, text in operations.TAGS.items()],
        "paths": paths,
        "components": COMPONENTS,
    }
    if closed:
        whole["security"] = [{"token": []}]
    return whole
