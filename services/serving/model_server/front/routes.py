"""Which handler answers which path."""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple
from urllib.parse import unquote

from model_server.errors import RefusedError
from model_server.front.exchange import Exchange
from model_server.front.grants import Need
from model_server.front.guard import path_of

Response = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers, body."""
Handler = Callable[..., Awaitable[Response]]

JSON = (b"content-type", b"application/json")
GET = ("GET", "HEAD")
POST = ("POST",)


class Route(NamedTuple):
    """An address, who answers there, and what a token needs for it."""

    methods: tuple[str, ...]
    pattern: str
    """Such as "/models/{name}"."""
    handler: Handler | str
    """Called with the exchange and the pattern's values, unquoted, by name. A string instead names
    a protocol's predictions."""
    needs: Need
    """Seen to before `handler` is called."""


class Routes:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[bytes, dict[bytes, Route]] = {}
        self._patterns: list[tuple[list[str], dict[bytes, Route]]] = []
        for route in routes:
            by_method = self._methods_of(route.pattern)
            by_method.update({method.encode(): route for method in route.methods})

    def find(self, exchange: Exchange) -> tuple[Route, dict[str, str]]:
        """Raises RefusedError 404 or 405, or 204 for OPTIONS."""
        path = path_of(exchange.url)
        if not path.startswith(b"/"):  # RFC 9112 3.2.2: with scheme and host, as to a proxy
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        by_method = self._exact.get(path)
        values: dict[str, str] = {}
        if by_method is None:
            by_method, values = self._match(path)
        route = by_method.get(exchange.method)
        if route is None:
            raise _other_method(exchange.method.decode(), [name.decode() for name in by_method])
        return route, values

    def _methods_of(self, pattern: str) -> dict[bytes, Route]:
        if "{" not in pattern:
            return self._exact.setdefault(pattern.encode(), {})
        parts = pattern.split("/")
        for known, by_method in self._patterns:
            if known == parts:
                return by_method
        self._patterns.append((parts, {}))
        return self._patterns[-1][1]

    def _match(self, path: bytes) -> tuple[dict[bytes, Route], dict[str, str]]:
        # The path as it came is split, because a name may hold an escaped slash.
        parts = path.decode("latin-1").split("/")
        for pattern, by_method in self._patterns:
            if len(pattern) == len(parts) and all(
                mine == theirs or mine.startswith("{")
                for mine, theirs in zip(pattern, parts, strict=True)
            ):
                return by_method, {
                    mine[1:-1]: unquote(theirs)
                    for mine, theirs in zip(pattern, parts, strict=True)
                    if mine.startswith("{")
                }
        raise RefusedError(404, "ENDPOINT_NOT_FOUND", "There is nothing at this path.")


def _other_method(method: str, methods: list[str]) -> RefusedError:
    allow = ((b"allow", ", ".join((*methods, "OPTIONS")).encode()),)
    if method == "OPTIONS":
        return RefusedError(204, "", "", headers=allow)
    return RefusedError(
        405,
        "BAD_REQUEST",
        f"This path takes {', '.join(methods)}, not {method}.",
        headers=allow,
    )
