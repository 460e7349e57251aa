"""What is at which address. Moves bytes, and knows nothing of models.

A prediction goes from the connection into a version's queue, and back by a callback. Everything
else is a coroutine, and rare.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from importlib.metadata import version as installed_version
from itertools import count
from secrets import token_hex

import msgspec

from model_server import errors, metrics
from model_server.errors import UNEXPECTED, RefusedError
from model_server.following.deployments import Deployments
from model_server.following.follower import Follower
from model_server.front import served, streams
from model_server.front.exchange import Exchange
from model_server.front.grants import NOT_ASKED, OPEN, Grant, Need, lacks_default
from model_server.front.guard import PROBES, Guard, host_of
from model_server.front.refusals import Refusals, is_noted
from model_server.front.routes import GET, JSON, POST, Response, Route, Routes
from model_server.front.tokens import NOBODY, Tokens
from model_server.front.usage import explain
from model_server.models import shadow
from model_server.models.job import Job
from model_server.models.version import Version
from model_server.processes import wire
from model_server.settings import Settings

log = logging.getLogger(__name__)

MLFLOW_VERSION = installed_version("mlflow-skinny")

V2_PREFIX = b"/v2"

_encode = msgspec.json.Encoder().encode
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
IDENTITY = b"identity"
_PROTOCOLS = {"invoke": wire.MLFLOW, "infer": wire.V2}


class App:
    """Answers every request, or has it answered."""

    def __init__(
        self,
        settings: Settings,
        deployments: Deployments,
        follower: Follower,
        tokens: Tokens,
        routes: list[Route],
    ) -> None:
        """`routes` are those of other modules, beside the ones here."""
        self._settings = settings
        self._deployments = deployments
        self._follower = follower
        self._required = [entry.name for entry in settings.wanted]
        self._guard = Guard(settings.known_names)
        self._tokens = tokens
        self._closed = settings.tokens_required
        self._refusals = Refusals()
        self._running = 0
        self._ids = (f"{token_hex(4)}{number:08x}" for number in count())
        self._tasks: set[asyncio.Task[None]] = set()
        self.table = [*self._own(), *routes]
        """Every route that there is."""
        self._routes = Routes(self.table)

    def _own(self) -> list[Route]:
        return [
            Route(POST, "/invocations", "invoke", Need.SOME_MODEL),
            Route(POST, "/models/{name}/invocations", "invoke", Need.MODEL),
            Route(GET, "/ping", self._ping, Need.NOTHING),
            Route(GET, "/health", self._ping, Need.NOTHING),
            Route(GET, "/version", self._version, Need.NOTHING),
            Route(GET, "/models", self._models, Need.SOME_MODEL),
            Route(GET, "/models/{name}", self._model, Need.MODEL),
            Route(GET, "/metrics", self._metrics, Need.METRICS),
            Route(GET, "/livez", self._livez, Need.NOTHING),
            Route(GET, "/readyz", self._readyz, Need.NOTHING),
        ]

    def admit_body(self, exchange: Exchange) -> None:
        """Whether its body is to be read at all: nobody unknown may have any held here, nor may
        who asks no model. Raises RefusedError."""
        self._admit(exchange)
        if exchange.grant is NOBODY:
            raise self._tokens.unknown(exchange)
        exchange.grant.need_some_model()

    def handle(self, exchange: Exchange) -> None:
        """Sees to it that the exchange is answered, now or later."""
        self._running += 1
        theirs = exchange.headers.get(b"x-request-id")
        if theirs is not None and _REQUEST_ID.fullmatch(theirs):
            exchange.request_id = theirs.decode()
        else:
            exchange.request_id = next(self._ids)
        try:
            if exchange.refusal is not None:
                raise exchange.refusal
            if exchange.grant is NOT_ASKED:
                self._admit(exchange)
            route, values = self._routes.find(exchange)
            if route.needs is Need.MANAGEMENT:
                exchange.grant = self._tokens.manager(exchange)
            exchange.grant.need(route.needs, values.get("name"))
            handler = route.handler
            if isinstance(handler, str):
                self._predict(exchange, _PROTOCOLS[handler], **values)
            else:
                self._start(exchange, handler(exchange, **values))
        except RefusedError as refusal:
            self._refuse(exchange, refusal)
        except Exception:
            self._fail(exchange)

    def _admit(self, exchange: Exchange) -> None:
        headers = exchange.headers
        self._guard.check(
            exchange.method, exchange.url, headers.get(b"host", b""), headers.get(b"origin")
        )
        exchange.grant = self._tokens.admit(exchange) if self._closed else OPEN

    # Predictions.

    def _predict(
        self, exchange: Exchange, protocol: str, name: str | None = None, version: str | None = None
    ) -> None:
        if self._running > self._settings.concurrency:
            raise errors.unavailable("Too many requests at one time (SERVING_CONCURRENCY).")
        asked = self._serving(exchange, name, version)
        headers = exchange.headers
        encoding = headers.get(b"content-encoding")
        if encoding is not None and encoding.lower() != IDENTITY:
            raise _encoded()
        content_type = headers.get(b"content-type")
        request = wire.Request(
            0,
            exchange.request_id,
            None if content_type is None else content_type.decode("latin-1"),
            exchange.body,
            0.0,
            protocol,
            exchange.trace_id,
        )
        exchange.version = asked
        exchange.comparison = None
        asked.submit(request, self._predicted, exchange, self._streamed)
        if asked.options.shadow:
            exchange.comparison = shadow.ask(self._shadow_of(asked), request)

    def _predicted(self, job: Job, status: int, body: bytes, refusal: RefusedError | None) -> None:
        exchange: Exchange = job.context
        version = exchange.version
        version.metrics.answered(status, time.perf_counter() - exchange.started)
        if job.steer is not None:
            self._note(exchange, status, body)
            streams.end(exchange, status, body)
            return
        if refusal is not None and refusal.headers:
            head = version.head + _lines(refusal.headers)
        else:
            head = version.head
        self._answer(exchange, status, head, body)
        if exchange.comparison:
            exchange.comparison.first(status, body)

    def _streamed(self, job: Job, part: bytes) -> None:
        exchange: Exchange = job.context
        streams.write(exchange, exchange.version.stamp, job, part, self._settings.timeout)

    def _shadow_of(self, version: Version) -> Version | None:
        name = version.target.name
        deployment = self._deployments.find(f"{name}@{version.options.shadow}")
        return deployment.serving if deployment and deployment.shadows(name) else None

    def _serving(self, exchange: Exchange, name: str | None, number: str | None) -> Version:
        """The version to ask. Raises RefusedError 404 or 503."""
        if name is None:
            deployment = self._deployments.default(exchange.grant.permits)
            if deployment is None:
                raise self._no_default(exchange.grant)
        else:
            exchange.model = name
            deployment = served.find(self._deployments, self._follower, name)
        exchange.model = deployment.name
        return served.version_of(deployment, number)

    def _no_default(self, grant: Grant) -> RefusedError:
        default = self._settings.default
        if default and not grant.permits(default):
            return lacks_default()
        urls = [one.invocations for one in self._deployments.visible(grant.permits)]
        if not urls:
            hint = self._hint(grant, serves=False)
            return errors.unavailable(f"No model is served yet. {hint or ''}".strip(), 2)
        problem = (
            f"The default model {default!r} is not served."
            if default
            else "There are several models, and SERVING_DEFAULT names none of them."
        )
        return RefusedError(
            404, "RESOURCE_DOES_NOT_EXIST", f"{problem} Served are: {', '.join(urls)}"
        )

    def _hint(self, grant: Grant, *, serves: bool) -> str | None:
        return self._follower.hint(grant.permits, serves=serves) if self._follower.knows else None

    # Answers.

    def _answer(self, exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
        self._note(exchange, status, body)
        if status >= 400 and exchange.url.startswith(V2_PREFIX):
            body = errors.v2_body(body)
        head = b"%bx-request-id: %b\r\n" % (head, exchange.request_id.encode())
        exchange.answer(status, head, body)

    def _note(self, exchange: Exchange, status: int, body: bytes) -> None:
        self._running -= 1
        # A probe's 503 is its answer; what is missing has lines of its own.
        if is_noted(status) and not exchange.url.startswith(PROBES):
            self._refusals.note(exchange, status, body)

    def _refuse(self, exchange: Exchange, refusal: RefusedError) -> None:
        body = refusal.body if refusal.status != 204 else b""
        self._answer(exchange, refusal.status, _lines([JSON, *refusal.headers]), body)

    def _fail(self, exchange: Exchange) -> None:
        log.exception("request failed", extra={"request_id": exchange.request_id})
        message = UNEXPECTED.format(exchange.request_id)
        self._refuse(exchange, RefusedError(500, "INTERNAL_ERROR", message))

    def _start(self, exchange: Exchange, work: Awaitable[Response]) -> None:
        task = asyncio.create_task(self._run(exchange, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, exchange: Exchange, work: Awaitable[Response]) -> None:
        try:
            status, headers, body = await work
        except RefusedError as refusal:
            self._refuse(exchange, refusal)
        except Exception:
            self._fail(exchange)
        else:
            self._answer(exchange, status, _lines(headers), body)

    # Everything else.

    async def _ping(self, _: Exchange) -> Response:
        """The same as MLflow's: 200 when a model is loaded, else 404. Any model: without a default
        one, a load balancer is not to take out a server that works."""
        return (200 if self._deployments.serve_any else 404), [JSON], b"\n"

    async def _version(self, _: Exchange) -> Response:
        return 200, [JSON], MLFLOW_VERSION.encode()

    async def _models(self, exchange: Exchange) -> Response:
        models = [one.entry() for one in self._deployments.visible(exchange.grant.permits)]
        content = {
            "models": models,
            "registry": self._follower.status(),
            "hint": self._hint(exchange.grant, serves=bool(models)),
        }
        return 200, [JSON], _encode(content)

    async def _model(self, exchange: Exchange, name: str) -> Response:
        deployment = served.find(self._deployments, self._follower, name)
        entry = deployment.entry()
        if version := deployment.serving:
            address = self._base(exchange) + entry.invocations
            explain(entry, version, address, with_token=self._closed)
        return 200, [JSON], _encode(entry)

    def _base(self, exchange: Exchange) -> str:
        """The address that the caller came by. That it was TLS only a gateway can say; who asks
        for tokens has one."""
        headers = exchange.headers
        secure = self._closed and headers.get(b"x-forwarded-proto") == b"https"
        host = host_of(exchange.url, headers.get(b"host", b"")).decode("latin-1")
        return f"{'https' if secure else 'http'}://{host}"

    async def _metrics(self, _: Exchange) -> Response:
        page = await asyncio.to_thread(metrics.page)
        return 200, [(b"content-type", metrics.CONTENT_TYPE)], page

    async def _livez(self, _: Exchange) -> Response:
        """That this is answered at all shows that the event loop turns."""
        return 200, [JSON], _encode({"status": "alive"})

    def failing(self) -> dict[str, str]:
        """Why the server is not ready, by name; empty when it is."""
        failing = self._deployments.missing(self._required)
        if not self._follower.knows:
            failing["registry"] = "not asked yet"
        return failing

    async def _readyz(self, exchange: Exchange) -> Response:
        """`knows` tells apart what the registry or the cache said from a server that waits for
        a first word; `model-server healthy` asks for no more."""
        if failing := self.failing():
            knows = self._follower.knows
            # Names of models are for those who may see them.
            failing = {name: why for name, why in failing.items() if exchange.grant.permits(name)}
            content = {"status": "unavailable", "knows": knows, "failing": failing}
            return 503, [JSON], _encode(content)
        return 200, [JSON], _encode({"status": "ready"})


def _encoded() -> RefusedError:
    """RFC 9110 15.5.16. Unpacked, a few bytes may be any number."""
    return RefusedError(
        415,
        "BAD_REQUEST",
        "Content-Encoding is not supported: send the body as it is.",
        headers=((b"accept-encoding", IDENTITY),),
    )


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
