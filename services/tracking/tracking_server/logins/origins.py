"""The pages that may ask, where there are logins.

MLflow takes those of every page on the browser's own machine, whatever its port, and no setting
changes that (mlflow/server/security_utils.py). To one person's machine that is a convenience; with
logins, such a page is somebody else's program, and a browser would send it what it remembers of the
user's login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from tracking_server.variables import LOCAL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

PORTS = {"http": 80, "https": 443}


class Origins:
    """403 to pages of other servers: those of a name that is not this server's, of another port
    than was asked, or without the TLS that the gateway speaks."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = {name.strip("[]").lower() for name in (*LOCAL_NAMES, *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what an own page, or no page, asks."""
        headers = Headers(scope=scope if scope["type"] == "http" else {"headers": ()})
        origin = headers.get("origin")
        if origin is None or self._is_own(origin, headers):
            await self._app(scope, receive, send)
            return
        message = "Pages of other servers may not ask this one; STACK_NAMES adds names to it."
        answer = JSONResponse({"error_code": "PERMISSION_DENIED", "message": message}, 403)
        await answer(scope, receive, send)

    def _is_own(self, origin: str, headers: Headers) -> bool:
        page = _split(origin)
        scheme = headers.get("x-forwarded-proto") or page.scheme
        if page.scheme not in PORTS or page.scheme != scheme or page.hostname not in self._names:
            return False
        return _port(page) == _port(_split(f"{scheme}://{headers.get('host', '')}"))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _port(url: SplitResult) -> int | None:
    try:
        return url.port or PORTS.get(url.scheme)
    except ValueError:
        return None
