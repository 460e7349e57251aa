"""The Open Inference Protocol's addresses, but for what a model answers (scoring/v2/).

https://github.com/kserve/open-inference-protocol, with the index of Triton's model repository
extension. What the protocol leaves open:

- A model that is not served is a 404, also by another version's number; one whose version is not
  loaded (yet) is a 503 with the reason. One that sleeps is ready: a request wakes it.
- An error is `{"error": ...}`, which its clients read, beside `error_code` and `message`.
- Columns are tensors of shape [-1]. Strings, bytes, times, lists and objects are BYTES, told apart
  by MLServer's parameter content_type.
"""

from typing import Any

import msgspec

from model_server import __version__, errors
from model_server.errors import RefusedError
from model_server.following.deployments import Deployments
from model_server.following.follower import Follower
from model_server.front import served
from model_server.front.exchange import Exchange
from model_server.front.grants import Need
from model_server.front.routes import GET, JSON, POST, Response, Route
from model_server.models.entry import Entry
from model_server.models.version import Version
from model_server.processes.wire import Description, name_of, output_names
from model_server.settings import Settings

NAME = "model-server"
EXTENSIONS = ["model_repository"]

_encode = msgspec.json.Encoder().encode

_COLUMNS = {
    "boolean": ("BOOL", None),
    "integer": ("INT32", None),
    "long": ("INT64", None),
    "float": ("FP32", None),
    "double": ("FP64", None),
    "string": ("BYTES", "str"),
    "binary": ("BYTES", "base64"),
    "datetime": ("BYTES", "datetime"),
}
_TENSORS = {
    "bool": "BOOL",
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}


class _Index(msgspec.Struct):
    ready: bool = False


def routes(settings: Settings, follower: Follower, deployments: Deployments) -> list[Route]:
    """Routes of the protocol."""
    return V2(settings, follower, deployments).routes()


class V2:
    """Handlers of these routes."""

    def __init__(self, settings: Settings, follower: Follower, deployments: Deployments) -> None:
        self._required = [entry.name for entry in settings.wanted]
        self._follower = follower
        self._deployments = deployments

    def routes(self) -> list[Route]:
        """Routes and their handlers."""
        routes = [
            Route(GET, "/v2", self._server, Need.SOME_MODEL),
            Route(GET, "/v2/health/live", self._live, Need.NOTHING),
            Route(GET, "/v2/health/ready", self._ready, Need.NOTHING),
            Route(POST, "/v2/repository/index", self._index, Need.SOME_MODEL),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes += [
                Route(GET, model, self._model, Need.MODEL),
                Route(GET, f"{model}/ready", self._model_ready, Need.MODEL),
                Route(POST, f"{model}/infer", "infer", Need.MODEL),
            ]
        return routes

    async def _server(self, _: Exchange) -> Response:
        return _ok({"name": NAME, "version": __version__, "extensions": EXTENSIONS})

    async def _live(self, _: Exchange) -> Response:
        return _ok({"live": True})

    async def _ready(self, exchange: Exchange) -> Response:
        """The same as /readyz."""
        if not self._follower.knows:
            raise errors.unavailable("The registry was not asked yet.")
        if missing := self._deployments.missing(self._required):
            permits = exchange.grant.permits  # names of models are for those who may see them
            told = "; ".join(f"{name}: {why}" for name, why in missing.items() if permits(name))
            raise errors.unavailable(told or "Not all models are served.")
        return _ok({"live": True, "ready": True})

    async def _model(self, exchange: Exchange, name: str, version: str | None = None) -> Response:
        serving = self._serving(exchange, name, version)
        return _ok(metadata(name, serving.target.version, serving.description))

    async def _model_ready(
        self, exchange: Exchange, name: str, version: str | None = None
    ) -> Response:
        self._serving(exchange, name, version)
        return _ok({"name": name, "ready": True})

    async def _index(self, exchange: Exchange) -> Response:
        try:
            only_ready = msgspec.json.decode(exchange.body or b"{}", type=_Index).ready
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise RefusedError(
                400, "BAD_REQUEST", 'The body must be {"ready": true} or {"ready": false}.'
            ) from None
        models = self._deployments.visible(exchange.grant.permits)
        lines = [line for model in models for line in index(model.entry())]
        return _ok([line for line in lines if line["state"] == "READY" or not only_ready])

    def _serving(self, exchange: Exchange, name: str, version: str | None) -> Version:
        exchange.model = name
        deployment = served.find(self._deployments, self._follower, name)
        return served.version_of(deployment, version)


def metadata(name: str, version: str, description: Description) -> dict[str, Any]:
    """A model's metadata; without a signature its inputs and outputs are not known."""
    inputs, outputs = description.inputs or [], description.outputs or []
    input_names = [name_of(spec, f"input-{at}") for at, spec in enumerate(inputs)]
    return {
        "name": name,
        "versions": [version],
        "platform": f"mlflow_{description.flavor}",
        "inputs": _tensors(inputs, input_names),
        "outputs": _tensors(outputs, output_names(outputs)),
    }


def index(entry: Entry) -> list[dict[str, str]]:
    """What the repository's index has of one model: what is served, and what is not yet, or not,
    and why."""
    lines = []
    if entry.version is not None:
        lines.append(_line(entry, entry.version, "READY", ""))
    if entry.state not in ("serving", "stopping"):
        state = "LOADING" if entry.state == "loading" else "UNAVAILABLE"
        reason = entry.problem or entry.state
        lines.append(_line(entry, entry.wanted_version or "", state, reason))
    return lines


def _line(entry: Entry, version: str, state: str, reason: str) -> dict[str, str]:
    return {"name": entry.name, "version": version, "state": state, "reason": reason}


def _tensors(schema: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, **_tensor(spec)} for name, spec in zip(names, schema, strict=True)]


def _tensor(spec: dict[str, Any]) -> dict[str, Any]:
    if spec["type"] == "tensor":
        dtype, shape = spec["tensor-spec"]["dtype"], list(spec["tensor-spec"]["shape"])
        datatype, content_type = _TENSORS.get(dtype, "BYTES"), None
    else:
        shape = [-1]
        datatype, content_type = _COLUMNS.get(spec["type"], ("BYTES", "json"))
    tensor: dict[str, Any] = {"datatype": datatype, "shape": shape}
    if content_type:
        tensor["parameters"] = {"content_type": content_type}
    return tensor


def _ok(content: object) -> Response:
    return 200, [JSON], _encode(content)
