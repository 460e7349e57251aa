"""400 to requests that cannot be what their route asks for, where MLflow answers a bare 500.

Every route that takes JSON takes an object. What is in it, MLflow converts without looking at each
error; what it raises on the way, before any store is asked, is about what the client sent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from flask import Flask, Response, request
from google.protobuf.json_format import ParseError
from mlflow.exceptions import MlflowException
from starlette.responses import JSONResponse
from werkzeug.exceptions import InternalServerError

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

GATEWAY = "/gateway/"
"""FastAPI's own routes that read JSON by hand; its others are checked by pydantic."""
GRAPHQL = "_graphql"
RAW = ("upload-artifact",)
"""Ends of paths whose bodies are files, whatever they say they are."""
CONVERSION = (
    *(TypeError, ValueError, AttributeError, KeyError, ArithmeticError, AssertionError),
    ParseError,
)
JSON = {"Content-Type": "application/json"}
LONGEST = 200
"""Characters of what an exception says of the client's value."""
STORES = ("mlflow.store.", "sqlalchemy.")


class _MalformedError(Exception):
    pass


def refuse(app: FastAPI, flask: Flask) -> None:
    """Look at bodies before MLflow, its permission checks included."""
    flask.before_request_funcs.setdefault(None, []).insert(0, _look)
    flask.register_error_handler(InternalServerError, _unless_the_clients)
    app.add_middleware(GatewayBodies)
    for kind in CONVERSION:
        app.add_exception_handler(kind, _of_fastapi)


def _answer(message: str) -> tuple[dict[str, str], int]:
    return {"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 400


def _object(body: bytes | str) -> dict[str, Any]:
    """Raises _MalformedError, which says what is wrong."""
    try:
        value = json.loads(body)
        if isinstance(value, str):  # MLflow's older clients encode twice
            value = json.loads(value)
    except RecursionError:
        raise _MalformedError("The request's JSON is nested too deeply.") from None
    except ValueError as error:
        raise _MalformedError(f"The request's body is no JSON: {error}"[:LONGEST]) from None
    if not isinstance(value, dict):
        raise _MalformedError("The request's body must be a JSON object.")
    return value


def _look() -> tuple[dict[str, str], int] | None:
    """Flask keeps the body, and what it has made of it, for MLflow."""
    if not (request.is_json or request.path.endswith("/graphql")) or request.path.endswith(RAW):
        return None
    try:
        value = request.get_json(force=True, silent=True)
    except RecursionError:
        return _answer("The request's JSON is nested too deeply.")
    if isinstance(value, dict):
        return None
    body = request.get_data()
    if not body.strip() or body.strip() == b"null":  # MLflow takes both for an empty object
        return None
    try:
        _object(body)
    except _MalformedError as error:
        return _answer(str(error))
    return None


def _unless_the_clients(error: InternalServerError) -> Any:
    """Flask's answer to an exception that nobody has handled."""
    cause = error.original_exception
    if isinstance(cause, MlflowException):  # of a route that forgets to catch its own
        return Response(cause.serialize_as_json(), cause.get_http_status_code(), JSON)
    has_values = request.is_json or request.args
    if not isinstance(cause, CONVERSION) or not has_values or _asked_a_store(cause):
        return error
    return _wrong(cause)


async def _of_fastapi(asked: Request, error: Exception) -> JSONResponse:
    """The same of its own routes."""
    if _asked_a_store(error):
        raise error
    logger.error("%s %s", asked.method, asked.url.path, exc_info=error)
    return JSONResponse(*_wrong(error))


def _wrong(error: Exception) -> tuple[dict[str, str], int]:
    said = str(error).splitlines()[0][:LONGEST] if str(error) else type(error).__name__
    return _answer(f"A value in the request has the wrong type or form: {said}")


def _asked_a_store(error: BaseException) -> bool:
    """Whether it came from there, and so may be about what is stored."""
    frames: TracebackType | None = error.__traceback__
    last = ""
    while frames is not None:
        module = frames.tb_frame.f_globals.get("__name__", "")
        if module.startswith(("mlflow.", "sqlalchemy.")):
            last = module
        frames = frames.tb_next
    return last.startswith(STORES)


def checked_graphql(view: Callable[[], Any]) -> Callable[[], Any]:
    """MLflow's view, asked what is a query only."""
    from graphql import GraphQLError

    @wraps(view)
    def checked() -> Any:
        asked = request.get_json(force=True, silent=True)
        if not isinstance(asked, dict):
            return _answer("GraphQL is asked by a JSON object with a `query`.")
        for name, kinds in (
            ("query", str),
            ("variables", (dict, type(None))),
            ("operationName", (str, type(None))),
        ):
            if not isinstance(asked.get(name), kinds):
                expected = "an object" if name == "variables" else "a string"
                return _answer(f"`{name}` of a GraphQL request must be {expected}.")
        try:
            return view()
        except GraphQLError as error:
            return _answer(error.message[:LONGEST])
        except RecursionError:
            return _answer("The GraphQL query is nested too deeply.")

    return checked


class GatewayBodies:
    """The same for MLflow's routes to providers of models."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body that is no object."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if not is_post or not scope["path"].startswith(GATEWAY):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has left
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        try:
            _object(bytes(body))
        except _MalformedError as error:
            await JSONResponse(*_answer(str(error)))(scope, receive, send)
            return
        whole = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replayed() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replayed, send)
