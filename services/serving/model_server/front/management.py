"""Deploy, load and unload: the routes that change what is served.

| route                                    | what it does                                        |
| ---------------------------------------- | --------------------------------------------------- |
| `PUT /models/{name}`                     | serve `{"uri": "models:/wine@champion"}`, or        |
|                                          | `models:/wine/3`, under this name                   |
| `DELETE /models/{name}`                  | undo that                                           |
| `POST /v2/repository/models/{name}/unload` | serve it no more, whatever the registry says        |
| `POST /v2/repository/models/{name}/load` | undo that; try again what failed; take changed tags |

All stay over a restart. `PUT` answers 202 with the entry of /models while the version is on its
way; with `?wait=SECONDS` it waits so long for a 200, or a 409 with the reason when the version does
not work. A failed deployment stays, and is tried again like any other version, until it is deleted.
`load` waits too, and answers 200 when the model is served.

All need a token that manages the served name; deploying one that manages the model that the URI
names, too, or whoever may put anything under a name of theirs could ask any model by it. An alias
may move, but never to another model, so that this holds as long as the deployment, which stays when
its token goes: the log says whose it was.
"""

import asyncio
import contextlib
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from model_server import errors
from model_server.errors import RefusedError
from model_server.following.answers import RegistryError
from model_server.following.deployment import Deployment
from model_server.following.deployments import Deployments
from model_server.following.follower import Follower, UnknownModelError
from model_server.front import served
from model_server.front.exchange import Exchange
from model_server.front.grants import Need
from model_server.front.routes import JSON, POST, Response, Route
from model_server.settings import Settings
from model_server.wanted import WantedError, deployed

log = logging.getLogger(__name__)

LONGEST_WAIT = 3600
"""Seconds."""
AT_ONCE = 16
"""Requests of one token that are managed at one time: they may wait for long, and each holds one of
SERVING_CONCURRENCY."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,250}")

_encode = msgspec.json.Encoder().encode


class _Deploy(msgspec.Struct, forbid_unknown_fields=True):
    uri: str


class _Load(msgspec.Struct):
    """V2 lets a client bring a configuration and files; this server takes the registry's."""

    parameters: dict[Literal["unload_dependents"], object] = {}


def routes(settings: Settings, follower: Follower, deployments: Deployments) -> list[Route]:
    """Routes that change what is served."""
    return Management(settings, follower, deployments).routes()


class Management:
    """Handlers of these routes."""

    def __init__(self, settings: Settings, follower: Follower, deployments: Deployments) -> None:
        self._follower = follower
        self._deployments = deployments
        self._running: Counter[str] = Counter()
        """Running requests by the token's name."""
        # A version's whole way in.
        self._patience = settings.fetch_timeout + settings.build_timeout + settings.load_timeout

    def routes(self) -> list[Route]:
        """Routes and their handlers."""
        v2 = "/v2/repository/models/{name}"
        return [
            self._route(("PUT",), "/models/{name}", self._deploy),
            self._route(("DELETE",), "/models/{name}", self._undo),
            self._route(POST, f"{v2}/load", self._load),
            self._route(POST, f"{v2}/unload", self._unload),
        ]

    def _route(
        self,
        methods: tuple[str, ...],
        pattern: str,
        work: Callable[[Exchange, str], Awaitable[Response]],
    ) -> Route:
        async def handler(exchange: Exchange, name: str) -> Response:
            exchange.model = name
            token = exchange.grant.name
            if self._running[token] >= AT_ONCE:
                raise errors.overloaded(f"A token may wait for {AT_ONCE} of these at one time.")
            self._running[token] += 1
            try:
                return await work(exchange, name)
            except UnknownModelError as error:
                raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", str(error)) from None
            except RegistryError as error:
                raise errors.unavailable(f"The registry cannot be asked: {error}", 5) from None
            except OSError as error:
                raise errors.unavailable(f"This cannot be kept: {error.strerror}", 5) from None
            finally:
                self._running[token] -= 1

        return Route(methods, pattern, handler, Need.MANAGEMENT)

    async def _deploy(self, exchange: Exchange, name: str) -> Response:
        if not _NAME.fullmatch(name):
            raise _bad("A name has 1 to 250 characters, and no control characters.")
        wait = _wait(exchange.url)
        try:
            wanted = deployed(name, msgspec.json.decode(exchange.body, type=_Deploy).uri)
        except WantedError as error:
            raise _bad(str(error)) from None
        except _UNREADABLE:
            raise _bad(
                'The body must be {"uri": "models:/name@alias" or "models:/name/3"}.'
            ) from None
        exchange.grant.need_model(wanted.model)
        await self._follower.deploy(wanted)
        _note("deployed", exchange, uri=wanted.text)
        deployment = served.find(self._deployments, self._follower, name)
        deployment.try_again()
        if wait:
            await _settled(deployment, wait)
            if deployment.state == "failed":
                raise RefusedError(409, "RESOURCE_CONFLICT", _reason(deployment))
        status = 200 if deployment.state == "serving" else 202
        return status, [JSON], _encode(deployment.entry())

    async def _undo(self, exchange: Exchange, name: str) -> Response:
        await self._follower.undo(name)
        _note("deployment undone", exchange)
        return 200, [JSON], b"{}"

    async def _load(self, exchange: Exchange, name: str) -> Response:
        try:
            msgspec.json.decode(exchange.body or b"{}", type=_Load)
        except _UNREADABLE:
            raise _bad("A model is loaded as the registry has it: send no parameters.") from None
        await self._follower.load(name)
        _note("loaded", exchange)
        deployment = served.find(self._deployments, self._follower, name)
        await _settled(deployment, self._patience)
        if deployment.serving is None or deployment.problem:
            raise RefusedError(409, "RESOURCE_CONFLICT", _reason(deployment))
        return 200, [JSON], b"{}"

    async def _unload(self, exchange: Exchange, name: str) -> Response:
        await self._follower.unload(name)
        _note("unloaded", exchange)
        deployment = served.find(self._deployments, self._follower, name)
        await _settled(deployment, self._patience)
        return 200, [JSON], b"{}"


def _note(what: str, exchange: Exchange, **more: str) -> None:
    """Log what was done through the API, by whose token."""
    log.info(
        what,
        extra={
            "model": exchange.model,
            **more,
            "token": exchange.grant.name or "of SERVING_TOKEN_FILE",
            "request_id": exchange.request_id,
        },
    )


async def _settled(deployment: Deployment, seconds: float) -> None:
    """Wait for it, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await deployment.settled()


def _reason(deployment: Deployment) -> str:
    return f"{deployment.name} is not served: {deployment.problem or deployment.state}"


def _wait(url: bytes) -> float:
    """The seconds of ?wait=SECONDS; 0 without. Raises RefusedError."""
    seconds = parse_qs(url.partition(b"?")[2].decode("latin-1")).get("wait", ["0"])[-1]
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", seconds, re.ASCII):
        raise _bad("wait is a number of seconds.")
    return min(float(seconds), LONGEST_WAIT)


def _bad(message: str) -> RefusedError:
    return RefusedError(400, "INVALID_PARAMETER_VALUE", message)
