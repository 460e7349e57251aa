"""What is answered when the disk, or a server beyond this one, fails in the middle of a request.

To Python both are an OSError, and so are the errors of most libraries that speak HTTP.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Iterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from flask import Flask, request

logger = logging.getLogger(__name__)

BEYOND = "A server that this request needs "
UNREACHABLE = {
    *(errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET),
    *(errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.EADDRNOTAVAIL),
}
FULL = {errno.ENOSPC, errno.EDQUOT}
NAMES = {
    errno.ENAMETOOLONG: "it, or a name in it, is too long to be stored",
    errno.ENOTDIR: "what would be a folder in it is a file",
    errno.EEXIST: "what would be a folder in it is a file",
    errno.EISDIR: "there is a folder of this name, which cannot be a file",
}
"""What only a path that a client chose can come to."""
HTTP_LIBRARIES = ("requests.", "urllib3.", "aiohttp.", "urllib.error")


def register(app: FastAPI, flask: Flask) -> None:
    """Legible errors in MLflow's shape, in place of a bare 500."""
    app.add_exception_handler(OSError, _of_fastapi)
    flask.register_error_handler(OSError, _of_flask)


def answer(error: Exception, asked: str = "") -> tuple[dict[str, str], int]:
    """Body and status. Neither holds an address, nor a path but the one that the client asked for:
    those are in the log."""
    status, code, message = _told(error, asked)
    return {"error_code": code, "message": message}, status


def _told(error: Exception, asked: str) -> tuple[int, str, str]:
    number = getattr(error, "errno", None)
    if number in FULL:
        return 507, "INTERNAL_ERROR", "The tracking server's disk is full: nothing was stored."
    if number in NAMES:
        return 400, "INVALID_PARAMETER_VALUE", f"Invalid path '{asked}': {NAMES[number]}."
    chain = list(_chain(error))
    for kind, told in (
        (socket.gaierror, "was not found by its name"),
        (ssl.SSLError, "is not trusted: its TLS is not as it must be"),
        (TimeoutError, "did not answer in time"),
        (ConnectionError, "could not be reached, or closed the connection"),
    ):
        if any(isinstance(one, kind) for one in chain):
            return _beyond(told, 502 if kind is ssl.SSLError else 503)
    if any("Timeout" in type(one).__name__ for one in chain if _is_http(one)):
        return _beyond("did not answer in time")
    if any(_is_http(one) or getattr(one, "errno", None) in UNREACHABLE for one in chain):
        return _beyond("could not be reached, or did not answer as it should")
    message = "The tracking server could not read or write its disk; see its log."
    return 500, "INTERNAL_ERROR", message


def _beyond(told: str, status: int = 503) -> tuple[int, str, str]:
    code = "TEMPORARILY_UNAVAILABLE" if status == 503 else "INTERNAL_ERROR"
    return status, code, f"{BEYOND}{told}; see the tracking server's log."


def _is_http(error: BaseException) -> bool:
    return f"{type(error).__module__}.".startswith(HTTP_LIBRARIES)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it came from; libraries also keep these in `reason` and `args`."""
    left, seen = [error], set()
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        within = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        left += [other for other in within if isinstance(other, BaseException)]


async def _of_fastapi(asked: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s: %s", asked.method, asked.url.path, error)
    return JSONResponse(*answer(error, asked.path_params.get("artifact_path", "")))


def _of_flask(error: OSError) -> tuple[dict[str, str], int]:
    logger.error("%s %s: %s", request.method, request.path, error)
    path = (request.view_args or {}).get("artifact_path") or request.args.get("path", "")
    return answer(error, path)
