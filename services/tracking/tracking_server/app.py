"""MLflow's own application, with a truthful readiness probe and legible storage errors."""

from __future__ import annotations

import logging
import warnings

from fastapi import FastAPI
from flask import Flask
from starlette.routing import Route
from starlette.types import ASGIApp

from tracking_server import failures, logins, readiness, schema
from tracking_server.bodies import Bodies
from tracking_server.counts import Counts
from tracking_server.origins import Origins
from tracking_server.settings import Settings
from tracking_server.unread import Unread

logger = logging.getLogger(__name__)


def build(settings: Settings, counts: Counts | None = None) -> ASGIApp:
    """MLflow's application for these settings, whose environment must be applied already.

    With `counts`, its requests are counted, and TRACKING_METRICS_PORT shows them.
    """
    with warnings.catch_warnings():
        # MLflow's own use of a deprecated module is nothing that an operator can change.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        from mlflow.server import app as flask_app
        from sqlalchemy.exc import OperationalError

        if settings.logins:
            app = logins.build(settings)
        else:
            from mlflow.server.fastapi_app import app

        from tracking_server import artifacts, malformed
        from tracking_server.addresses import hooks

    malformed.refuse(app, flask_app)
    app.add_middleware(Bodies, limit=settings.body_limit)
    if settings.logins:
        logins.guard(app)  # around the former: without a login, no body is read
        app.add_middleware(Origins, names=settings.names)
    app.add_middleware(Unread)
    artifacts.register()
    hooks.guard(settings)
    flask_app.register_error_handler(OperationalError, _database_error)
    failures.register(app, flask_app)
    checks = readiness.checks(settings, schema.installed().head)
    probe = readiness.Readiness(checks)
    # First, because MLflow mounts its Flask application on everything; under MLflow's
    # middleware like every route, so that Host and Origin are checked here as well.
    app.router.routes.insert(0, Route("/readyz", probe.endpoint, methods=["GET"]))
    return _counted(app, flask_app, settings, probe, counts) if counts else app


def _counted(
    app: FastAPI, flask_app: Flask, settings: Settings, probe: readiness.Readiness, counts: Counts
) -> ASGIApp:
    from tracking_server.metrics import Counted
    from tracking_server.metrics_page import MetricsPage
    from tracking_server.routes import templates

    page = MetricsPage(settings, probe, counts)
    return Counted(app, templates(flask_app), settings.metrics_port, page)


def _database_error(error: Exception) -> tuple[dict[str, str], int]:
    """MLflow says 503 when a connection is lost, save where that shows in undoing a transaction
    within another: then Flask would answer a bare 500."""
    logger.error("backend store: %s", error)
    message = "The backend store does not answer; see the tracking server's log."
    return {"error_code": "TEMPORARILY_UNAVAILABLE", "message": message}, 503
