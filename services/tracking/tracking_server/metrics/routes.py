"""Which route a request was for: the template, never the path, so that there are few of them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from starlette.types import Scope
from werkzeug.exceptions import HTTPException

from tracking_server.fast import otlp

UNKNOWN = "unknown"


def templates(flask: Flask) -> Callable[[Scope], str]:
    """Finds the template of a request that has been answered: FastAPI's, or else Flask's, which
    MLflow mounts on everything that FastAPI has no route for."""
    rules = flask.url_map.bind("")
    # Most are their own template, and matching costs as much as all the counting.
    flasks = {rule.rule for rule in flask.url_map.iter_rules() if not rule.arguments}
    exact = frozenset({*flasks, otlp.ROUTE[1]})  # FastAPI has found nothing that is answered fast

    def template(scope: Scope) -> str:
        route: str | None = getattr(scope.get("route"), "path", None)
        path: str = scope["path"]
        if route:
            return route
        if path in exact:
            return path
        try:
            rule, _ = rules.match(path, scope["method"], return_rule=True)
        except HTTPException:
            return UNKNOWN
        return rule.rule

    return template
