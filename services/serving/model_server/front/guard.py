"""Who may ask: a page in the user's browser can reach a local port, so Host and Origin count.

As MLflow's tracking server does it: a Host that nobody gave this server is refused, which stops
DNS rebinding; so is a foreign Origin on whatever may change something.
"""

import functools
from collections.abc import Sequence
from urllib.parse import urlsplit

from model_server.errors import RefusedError

LOCAL = ("localhost", "127.0.0.1", "[::1]")
OPEN_PATHS = (b"/health", b"/livez", b"/ping", b"/version", b"/v2/health/live")
"""Probes come with any Host, and learn nothing that is anybody's. Those of readiness name models:
they need a Host that is known, by SERVING_NAMES or by the probe's own header."""
PROBES = (b"/readyz", b"/v2/health/ready")
READING = (b"GET", b"HEAD")


def path_of(url: bytes) -> bytes:
    """The path of a request's target: without the query, and without the slash that some clients
    end it with: `/invocations/` is `/invocations`."""
    path = url.partition(b"?")[0] if b"?" in url else url
    return path[:-1] if path.endswith(b"/") and len(path) > 1 else path


def host_of(url: bytes, header: bytes) -> bytes:
    """Whom a request is for. RFC 9112 3.2.2: a host in its target counts, not the header's."""
    return header if url[:1] == b"/" else url.partition(b"://")[2].partition(b"/")[0]


class Guard:
    """Checks Host and Origin."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = {*LOCAL, *(name.lower() for name in names)}
        self.knows_host = functools.lru_cache(256)(self._knows_host)
        self.knows_origin = functools.lru_cache(256)(self._knows_origin)

    def check(self, method: bytes, url: bytes, host: bytes, origin: bytes | None) -> None:
        """Refuse a Host or an Origin that is not known: RefusedError 403."""
        if not self.knows_host(host_of(url, host)) and path_of(url) not in OPEN_PATHS:
            raise RefusedError(
                403,
                "PERMISSION_DENIED",
                "Invalid Host header. Further names are allowed by SERVING_NAMES.",
            )
        if origin is not None and method not in READING and not self.knows_origin(origin):
            raise RefusedError(403, "PERMISSION_DENIED", "Cross-origin request blocked.")

    def _knows_host(self, host: bytes) -> bool:
        """`name` or `name:port`; any port is this server's, as it may be published on another."""
        text = host.decode("latin-1").lower()
        name, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            name, port = text, "0"
        return port.isascii() and port.isdigit() and self._is_known(name)

    def _knows_origin(self, origin: bytes) -> bool:
        """`null`, which sandboxed pages and local files send, is foreign."""
        try:
            parts = urlsplit(origin.decode("latin-1"))
            name = parts.hostname or ""
            if parts.scheme not in ("http", "https"):
                return False
        except ValueError:
            return False
        return self._is_known(f"[{name}]" if ":" in name else name)

    def _is_known(self, name: str) -> bool:
        return name in self._names
