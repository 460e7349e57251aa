"""The HTTP side: routes, limits and errors. It moves bytes and knows nothing of models.

A plain ASGI application: a framework's routing and objects cost more here than the work itself.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from importlib.metadata import version as installed_version
from urllib.parse import quote, unquote

import msgspec

from model_server import errors, metrics
from model_server.errors import UNEXPECTED, RefusedError, error_body
from model_server.following.deployments import Deployment, Deployments
from model_server.following.follower import Follower
from model_server.front.body import BodyReader, DisconnectedError
from model_server.front.guard import Guard
from model_server.front.refusals import Refusals, is_noted
from model_server.settings import Settings

log = logging.getLogger(__name__)

MLFLOW_VERSION = installed_version("mlflow-skinny")
JSON = (b"content-type", b"application/json")
GET = ("GET", "HEAD")
POST = ("POST",)

_encode = msgspec.json.Encoder().encode
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")

Receive = Callable[[], Awaitable[dict]]
Send = Callable[[dict], Awaitable[None]]
Response = tuple[int, list[tuple[bytes, bytes]], bytes]


class Exchange:
    """What one request's handler needs to know."""

    __slots__ = ("headers", "method", "model", "receive", "request_id", "segments")

    def __init__(self, scope: dict, receive: Receive) -> None:
        self.headers = dict(scope["headers"])
        self.method = scope["method"]
        self.receive = receive
        given = self.headers.get(b"x-request-id")
        sane = given is not None and _REQUEST_ID.fullmatch(given)
        self.request_id = given.decode() if sane else secrets.token_hex(8)
        # The raw path, because a name may hold an escaped slash.
        raw = scope.get("raw_path") or scope["path"].encode()
        self.segments = [unquote(part.decode("latin-1")) for part in raw.split(b"/")[1:]]
        self.model: str | None = None
        """The served name that was asked for, once it is known."""


class App:
    def __init__(self, settings: Settings, deployments: Deployments, follower: Follower) -> None:
        self._settings = settings
        self._deployments = deployments
        self._follower = follower
        self._required = [entry.name for entry in settings.wanted]
        self._guard = Guard(settings.names)
        self._bodies = BodyReader(settings.body_limit, settings.body_timeout, settings.buffer_limit)
        self._refusals = Refusals()
        self._running = 0
        self._routes = {
            "/invocations": (POST, self._invoke_default),
            "/ping": (GET, self._ping),
            "/health": (GET, self._ping),
            "/version": (GET, self._version),
            "/models": (GET, self._models),
            "/metrics": (GET, self._metrics),
            "/livez": (GET, self._livez),
            "/readyz": (GET, self._readyz),
        }

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive)
        self._running += 1
        try:
            status, headers, body = await self._respond(scope["path"], exchange)
        except DisconnectedError:
            return
        finally:
            self._running -= 1
        # A probe's 503 is its answer; what is missing has lines of its own.
        if is_noted(status) and scope["path"] != "/readyz":
            self._refusals.note(status, body, exchange.request_id, scope["path"], exchange.model)
        headers.append((b"content-length", str(len(body)).encode()))
        headers.append((b"x-request-id", exchange.request_id.encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _respond(self, path: str, exchange: Exchange) -> Response:
        try:
            headers = exchange.headers
            self._guard.check(
                exchange.method, path, headers.get(b"host", b""), headers.get(b"origin")
            )
            if self._running > self._settings.concurrency:
                raise errors.unavailable("Too many requests at one time.")
            methods, handler = self._route(path, exchange)
            if exchange.method not in methods:
                return _other_method(exchange.method, methods)
            return await handler(exchange)
        except RefusedError as refusal:
            return refusal.status, [JSON, *refusal.headers], refusal.body
        except (DisconnectedError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("request failed", extra={"request_id": exchange.request_id})
            body = error_body("INTERNAL_ERROR", UNEXPECTED.format(exchange.request_id))
            return 500, [JSON], body

    def _route(self, path: str, exchange: Exchange) -> tuple[tuple[str, ...], Callable]:
        if route := self._routes.get(path):
            return route
        match exchange.segments:
            case ["models", name]:
                return GET, lambda _: self._model(name)
            case ["models", name, "invocations"]:
                return POST, lambda exchange: self._invoke_named(name, exchange)
        raise RefusedError(404, "ENDPOINT_NOT_FOUND", "There is nothing at this path.")

    async def _invoke_default(self, exchange: Exchange) -> Response:
        return await self._invoke(self._deployments.default, self._no_default, exchange)

    async def _invoke_named(self, name: str, exchange: Exchange) -> Response:
        exchange.model = name
        return await self._invoke(
            lambda: self._deployments.find(name), lambda: _no_model(name), exchange
        )

    async def _invoke(
        self,
        find: Callable[[], Deployment | None],
        otherwise: Callable[[], RefusedError],
        exchange: Exchange,
    ) -> Response:
        body = await self._bodies.read(exchange.receive, exchange.headers.get(b"content-length"))
        started = asyncio.get_running_loop().time()
        try:
            # Looked up after the body is here, so that a swap meanwhile costs nothing.
            deployment = find()
            if deployment is None:
                raise otherwise()
            exchange.model = deployment.name
            version = deployment.serving
            if version is None:
                reason = f": {deployment.problem}" if deployment.problem else "."
                raise errors.unavailable(f"{deployment.name} is not loaded{reason}", 2)
            content_type = exchange.headers.get(b"content-type")
            headers = [JSON, *version.headers]
            try:
                answer = await version.ask(
                    body, content_type and content_type.decode("latin-1"), exchange.request_id
                )
                status, content = answer.status, answer.body
            except RefusedError as refusal:
                status, content = refusal.status, refusal.body
                headers += refusal.headers
            version.metrics.answered(status)
            version.metrics.total.observe(asyncio.get_running_loop().time() - started)
            return status, headers, content
        finally:
            self._bodies.release(len(body))

    def _no_default(self) -> RefusedError:
        urls = [model["invocations"] for model in self._deployments.status()]
        if not urls:
            return errors.unavailable("No model is served yet.", 2)
        return RefusedError(
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "There is no default model (SERVING_DEFAULT). Served are: " + ", ".join(urls),
        )

    async def _ping(self, _: Exchange) -> Response:
        """As MLflow's: 200 when a request to /invocations would find a model, else 404."""
        deployment = self._deployments.default()
        return (200 if deployment and deployment.serving else 404), [JSON], b"\n"

    async def _version(self, _: Exchange) -> Response:
        return 200, [JSON], MLFLOW_VERSION.encode()

    async def _models(self, _: Exchange) -> Response:
        content = {"models": self._deployments.status(), "registry": self._follower.status()}
        return 200, [JSON], _encode(content)

    async def _model(self, name: str) -> Response:
        deployment = self._deployments.find(name)
        if deployment is None:
            raise _no_model(name)
        return 200, [JSON], _encode(deployment.status())

    async def _metrics(self, _: Exchange) -> Response:
        page = await asyncio.to_thread(metrics.page)
        return 200, [(b"content-type", metrics.CONTENT_TYPE)], page

    async def _livez(self, _: Exchange) -> Response:
        """That this is answered at all shows that the event loop turns."""
        return 200, [JSON], _encode({"status": "alive"})

    async def _readyz(self, _: Exchange) -> Response:
        """`knows` tells apart what the registry or the cache said from a server that waits for
        a first word; `model-server healthy` asks for no more."""
        knows = self._follower.knows
        failing = self._deployments.missing(self._required)
        if not knows:
            failing["registry"] = "not asked yet"
        if failing:
            content = {"status": "unavailable", "knows": knows, "failing": failing}
            return 503, [JSON], _encode(content)
        return 200, [JSON], _encode({"status": "ready"})


def quoted(name: str) -> str:
    return quote(name, safe="")


def _no_model(name: str) -> RefusedError:
    return RefusedError(
        404, "RESOURCE_DOES_NOT_EXIST", f"No model is served as {name!r}; see /models."
    )


def _other_method(method: str, methods: tuple[str, ...]) -> Response:
    allow = (b"allow", ", ".join((*methods, "OPTIONS")).encode())
    if method == "OPTIONS":
        return 204, [allow], b""
    body = error_body("BAD_REQUEST", f"This path takes {', '.join(methods)}, not {method}.")
    return 405, [JSON, allow], body
