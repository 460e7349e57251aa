"""A forward proxy on 127.0.0.1 for the workers of one version: tunnels by CONNECT, and plain http.

A worker may connect here and nowhere else. Names are resolved here, and the address that is
connected to is the one that was looked at. What passes is neither read nor logged.
"""

import asyncio
import base64
import contextlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterator

import h11

from model_server.network import rules
from model_server.network.outward import NotPublicError, Outward, UnreachedError
from model_server.network.peer import CLOSE, PIECE, Peer, end_to_end, exchange, tunnel
from model_server.network.rules import Network

log = logging.getLogger(__name__)

HEAD_SECONDS = 10
CONNECTIONS = 256
"""One version's: as many as a worker may have threads."""
REMEMBERED = 100
"""Refusals that are kept and logged: a model may ask for any number of hosts."""
LINGER = 1
"""Seconds in which a client may still send what is not read, so that it gets the refusal."""

_USER = "serving"
_BY_PROXY = ("http", "https", "all", "ws", "wss", "grpc")
_DIRECT = ("no", "no_grpc")
_ABSOLUTE = re.compile(r"http://([^/?#]+)([^#]*)", re.IGNORECASE)


class ProxyError(Exception):
    """A request that is not passed on: the status of the answer, and one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


def no_variables() -> dict[str, str]:
    """Variables for one that has no proxy: the server's own may hold a login."""
    return dict.fromkeys(variables(0, ""), "")


def variables(port: int, secret: str) -> dict[str, str]:
    """What the environment of a worker gets, so that its clients go by the proxy."""
    url = f"http://{_USER}:{secret}@127.0.0.1:{port}"
    lower = dict.fromkeys((f"{name}_proxy" for name in _BY_PROXY), url)
    lower |= dict.fromkeys((f"{name}_proxy" for name in _DIRECT), "")
    return lower | {name.upper(): value for name, value in lower.items()}


class Proxy:
    """Listens from `start` to `close`, which ends what passes through it."""

    def __init__(self, network: Network, model: str = "", version: str = "") -> None:
        self.secret = secrets.token_urlsafe(32)
        self.refused: dict[str, str] = {}
        """What was asked for, and why it was refused: for those who wonder why the model fails."""
        self._network = network
        self._facts = {"model": model, "version": version}
        self._login = base64.b64encode(f"{_USER}:{self.secret}".encode())
        self._outward = Outward()
        self._connections: set[asyncio.Task[None]] = set()
        self._admitted = 0
        self._server: asyncio.Server | None = None
        self._is_closed = False

    async def start(self) -> int:
        """Returns the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=PIECE)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End it, and what passes through it."""
        self._is_closed = True
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Peer(reader, writer, h11.SERVER)
        # A limit of their own for strangers: any process of the machine can connect here.
        if self._is_closed or len(self._connections) - self._admitted >= CONNECTIONS:
            client.abort()
            return
        task = asyncio.create_task(self._serve(client))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # If it was not closed cleanly: that could be taken for the end of an answer.
        task.add_done_callback(lambda _: client.abort())

    async def _serve(self, client: Peer) -> None:
        with contextlib.suppress(OSError, h11.ProtocolError):
            await self._answer(client)
            await client.close()

    async def _answer(self, client: Peer) -> None:
        try:
            request = await _head(client)
            if request:
                self._check_secret(request)
                with self._place():
                    await self._pass_on(client, request)
        except ProxyError as refused:
            await _refuse(client, refused)

    def _check_secret(self, request: h11.Request) -> None:
        credentials = dict(request.headers).get(b"proxy-authorization", b"")
        kind, _, login = credentials.partition(b" ")
        if kind.lower() != b"basic" or not hmac.compare_digest(login.strip(), self._login):
            why = "only this version's workers may use its proxy, as their HTTPS_PROXY says"
            self._note("", why)
            raise ProxyError(407, why)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._admitted >= CONNECTIONS:
            raise ProxyError(503, f"this version has {CONNECTIONS} connections, and no more")
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def _pass_on(self, client: Peer, request: h11.Request) -> None:
        target = request.target.decode("ascii")
        plain = _ABSOLUTE.fullmatch(target)
        if request.method == b"CONNECT":
            host, port = _host(target, 443)
            server = await self._connect(host, port, "https")
        elif plain:
            host, port = _host(plain[1], 80)
            server = await self._connect(host, port, "http")
        else:
            raise ProxyError(400, "CONNECT host:port, or a method and http://host/path")
        try:
            if plain:
                await exchange(client, server, _origin_form(request, plain[1], plain[2]))
            else:
                await client.send(h11.Response(status_code=200, headers=[], reason=b"Connected"))
                client.begin_tunnel()
                await tunnel(client, server)
            await server.close()
        except BaseException as error:
            server.abort()
            is_silent = isinstance(error, (OSError, h11.RemoteProtocolError))
            if not (plain and is_silent and client.is_unanswered):
                raise
            line = f"{rules.join(host, port)} gave no answer, or none in HTTP"
            raise ProxyError(502, line) from None

    async def _connect(self, host: str, port: int, scheme: str) -> Peer:
        where = rules.join(host, port)
        rule = self._network.find(host, port)
        if rule is None:
            why = f"{where} is not among the hosts of the tag {rules.TAG}, nor of {rules.SETTING}"
            raise self._note(where, why)
        try:
            return await self._outward.connect(host, port, scheme, anywhere=rule.anywhere)
        except NotPublicError:
            why = (
                f"{where} has no public address, and the tag {rules.TAG} reaches no others:"
                f" {rules.SETTING}={where} allows it to all models"
            )
            raise self._note(where, why) from None
        except UnreachedError as error:
            raise ProxyError(502, f"{where} cannot be reached: {error}") from None

    def _note(self, where: str, why: str) -> ProxyError:
        """Tell the operator, once."""
        if where not in self.refused and len(self.refused) < REMEMBERED:
            self.refused[where] = why
            log.warning("connection refused", extra=self._facts | {"host": where, "reason": why})
        return ProxyError(403, why)


async def _head(client: Peer) -> h11.Request | None:
    """None: it said nothing. Raises ProxyError."""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            event = await client.next()
    except TimeoutError:
        raise ProxyError(408, f"no request within {HEAD_SECONDS} s") from None
    except h11.RemoteProtocolError as error:
        raise ProxyError(error.error_status_hint, "no HTTP request, or too long a one") from None
    return event if isinstance(event, h11.Request) else None


def _host(authority: str, default: int) -> tuple[str, int]:
    try:
        host, port = rules.split(authority)
    except ValueError as error:
        raise ProxyError(400, str(error)) from None
    return host, port or default


def _origin_form(request: h11.Request, authority: str, path: str) -> h11.Request:
    """The request as the host itself wants it."""
    headers = [one for one in end_to_end(request.headers) if one[0] != b"host"]
    return h11.Request(
        method=request.method,
        target=path if path.startswith("/") else f"/{path}",
        headers=[(b"host", authority.encode()), *headers, CLOSE],
    )


async def _refuse(client: Peer, refused: ProxyError) -> None:
    """The line is the reason phrase as well: of an answer to CONNECT, clients show no more."""
    if not client.is_unanswered:
        return
    line = str(refused).encode("ascii", "replace")
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(line) + 1)),
        ("Connection", "close"),
    ]
    if refused.status == 407:
        headers.append(("Proxy-Authenticate", 'Basic realm="serving"'))
    await client.send(h11.Response(status_code=refused.status, headers=headers, reason=line))
    await client.send(h11.Data(data=line + b"\n"))
    await client.send(h11.EndOfMessage())
    client.writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while await client.reader.read(PIECE):
                pass
