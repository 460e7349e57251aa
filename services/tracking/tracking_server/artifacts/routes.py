"""Routes of artifacts on S3, in place of MLflow's: nothing of them is written to a disk on the way.

They do what MLflow's do (mlflow/server/artifact_router.py), which keep a file whole in between.
Permissions are asked for before, by MLflow's middleware, and by the functions of MLflow that
`tracking_server.patches` guards.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from botocore.exceptions import ClientError
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from mlflow.exceptions import MlflowException
from mlflow.server import artifact_router
from mlflow.utils.mime_type_utils import _guess_mime_type
from mlflow.utils.uri import validate_path_is_safe
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from tracking_server.artifacts import downloads, uploads
from tracking_server.artifacts.place import Place, in_thread
from tracking_server.artifacts.s3 import ERRORS

logger = logging.getLogger(__name__)

PREFIXES = tuple(f"/{api}/2.0/mlflow-artifacts/artifacts/" for api in ("api", "ajax-api"))
STRAIGHT = "tracking_server.artifacts"
RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")
"""Who asks for several at once gets all."""

Endpoint = Callable[[Place, str, Request], Awaitable[Response]]


def add(app: FastAPI, *, logins: bool) -> None:
    """Put them before MLflow's, which refuses HEAD where there are logins."""
    for prefix in PREFIXES:
        path = prefix + "{artifact_path:path}"
        readers = ["GET"] if logins else ["GET", "HEAD"]
        app.router.routes[:0] = [
            APIRoute(path, _answered(_download), methods=readers),
            APIRoute(path, _answered(_upload), methods=["PUT"]),
        ]
    app.add_middleware(Straight)


class Straight:
    """Lets uploads take their body past MLflow's middleware, which looks at none, and spends as
    long on each piece as all else does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIXES):
            scope[STRAIGHT] = receive
        await self._app(scope, receive, send)


def _answered(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        try:
            path = validate_path_is_safe(request.path_params["artifact_path"])
            path = artifact_router._get_workspace_scoped_path(path)
            repository = artifact_router._get_artifact_repo()
            try:
                return await endpoint(repository.place(path), path, request)
            except ERRORS as error:
                raise await in_thread(repository.told, path, error) from None
        except MlflowException as error:
            body = json.loads(error.serialize_as_json())
            return JSONResponse(body, error.get_http_status_code())

    return answered


async def _upload(place: Place, path: str, request: Request) -> Response:
    if not posixpath.basename(path):
        detail = "Artifact path must include a filename (cannot end with '/')."
        raise HTTPException(400, detail)
    length = request.headers.get("content-length", "")
    try:
        await uploads.upload(place, _body(request), int(length) if length.isdecimal() else None)
    except ClientDisconnect:
        logger.info("the client of an upload has left: nothing was stored")
    return Response()


async def _body(request: Request) -> AsyncIterator[bytes]:
    receive: Receive = request.scope[STRAIGHT]
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _download(place: Place, path: str, request: Request) -> Response:
    if request.method == "HEAD":
        return _response(b"", path, await in_thread(place.ask, "head_object"))
    wanted = request.headers.get("range", "")
    asked = {}
    if RANGE.fullmatch(wanted) and "if-range" not in request.headers:
        asked["Range"] = wanted
    try:
        answer = await downloads.fetch(place, **asked)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidRange":
            raise
        message = f"The artifact has no bytes in the range {wanted}."
        return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 416)
    return _response(answer["Body"], path, answer)


def _response(body: Any, path: str, answer: downloads.Answer) -> Response:
    name = posixpath.basename(path)
    headers = {
        "Content-Type": _guess_mime_type(name),
        "Content-Disposition": artifact_router._content_disposition(name),
        "X-Content-Type-Options": "nosniff",
        "Content-Length": str(answer["ContentLength"]),
        "Accept-Ranges": "bytes",
    }
    status = 200
    if "ContentRange" in answer:
        status = 206
        headers["Content-Range"] = answer["ContentRange"]
    if isinstance(body, bytes):
        return Response(body, status, headers)
    return StreamingResponse(downloads.pieces(body), status, headers)
