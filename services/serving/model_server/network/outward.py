"""The way to a host: straight, or through the proxy that the server's own environment names."""

import asyncio
import base64
import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import (  # type: ignore[attr-defined]  # typeshed lacks the second
    getproxies_environment,
    proxy_bypass_environment,
)

import h11

from model_server.network import rules
from model_server.network.peer import PIECE, Peer

CONNECT_SECONDS = 20


class NotPublicError(Exception):
    """The name has addresses, and none is one of the public internet."""


class UnreachedError(Exception):
    """Why, in one line, without an address that the name has."""


@dataclass(frozen=True)
class Outward:
    """Connects to hosts for workers."""

    proxies: dict[str, str] = field(default_factory=getproxies_environment)
    """Their addresses by scheme, and `no`."""

    async def connect(self, host: str, port: int, scheme: str, *, anywhere: bool) -> Peer:
        """Connect to one of its addresses; not `anywhere`: a public one. `scheme` (http, https)
        says which proxy. Raises NotPublicError, UnreachedError."""
        proxy = self._proxy(rules.join(host, port), scheme)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = [] if proxy and anywhere else await _resolve(host, port, proxy)
                allowed = [one for one in addresses if anywhere or rules.is_public(one)]
                if addresses and not allowed:
                    raise NotPublicError
                if proxy:
                    return await _by(proxy, rules.join(host, port))
                return await _to_one_of(allowed, port)
        except TimeoutError:
            raise UnreachedError(f"no connection within {CONNECT_SECONDS} s") from None
        except (OSError, UnicodeError, h11.ProtocolError) as error:
            raise UnreachedError(getattr(error, "strerror", None) or type(error).__name__) from None

    def _proxy(self, where: str, scheme: str) -> SplitResult | None:
        proxy = urlsplit(self.proxies.get(scheme, ""))
        if proxy.scheme not in ("http", "https") or not proxy.hostname:
            return None
        return None if proxy_bypass_environment(where, self.proxies) else proxy


async def _resolve(host: str, port: int, proxy: SplitResult | None) -> list[str]:
    """Its addresses; none where a proxy is on the way, which may know names that are not known
    here. Raises OSError, UnicodeError."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        if proxy:
            return []
        raise
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in infos))


async def _to_one_of(addresses: list[str], port: int) -> Peer:
    """Raises OSError, TimeoutError among them: that of the last one."""
    for left in range(len(addresses), 0, -1):
        try:
            async with asyncio.timeout(CONNECT_SECONDS / len(addresses)):
                streams = await asyncio.open_connection(addresses[-left], port, limit=PIECE)
            return Peer(*streams, h11.CLIENT)
        except OSError:
            if left == 1:
                raise
    raise OSError("no address")


async def _by(proxy: SplitResult, where: str) -> Peer:
    """A tunnel to the host, by its name. Raises OSError, UnreachedError, h11.ProtocolError."""
    tls = ssl.create_default_context() if proxy.scheme == "https" else None
    port = proxy.port or (443 if tls else 80)
    streams = await asyncio.open_connection(proxy.hostname, port, ssl=tls, limit=PIECE)
    peer = Peer(*streams, h11.CLIENT)
    headers = [("Host", where)]
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        basic = base64.b64encode(login.encode()).decode()
        headers.append(("Proxy-Authorization", f"Basic {basic}"))
    try:
        await peer.send(h11.Request(method="CONNECT", target=where, headers=headers))
        await peer.send(h11.EndOfMessage())
        answer = await peer.next()
        if not (isinstance(answer, h11.Response) and answer.status_code // 100 == 2):
            status = getattr(answer, "status_code", "nothing")
            raise UnreachedError(f"the server's own proxy answers {status}")
        peer.begin_tunnel()
    except BaseException:
        peer.abort()
        raise
    return peer
