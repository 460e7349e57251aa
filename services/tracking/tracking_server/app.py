"""MLflow's own application, with a truthful readiness probe and legible storage errors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, cast

from fastapi import FastAPI
from flask import Flask
from starlette.routing import Route
from starlette.types import ASGIApp

from tracking_server import readiness
from tracking_server.backend import schema
from tracking_server.http import failures
from tracking_server.http.bodies import Bodies
from tracking_server.http.ending import Ending
from tracking_server.http.unread import Unread
from tracking_server.http.whole import Whole
from tracking_server.logins import accounts
from tracking_server.logins.origins import Origins
from tracking_server.metrics.counts import Counts
from tracking_server.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tracking_server.patches import Context


def build(settings: Settings, counts: Counts | None = None) -> ASGIApp:
    """MLflow's application for these settings, whose environment must be applied already.

    With `counts`, its requests are counted, and TRACKING_METRICS_PORT shows them.
    """
    with warnings.catch_warnings():
        # MLflow's own use of a deprecated module is nothing that an operator can change.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        from mlflow.server import app as flask_app

        if settings.logins:
            app = accounts.build(settings)
        else:
            from mlflow.server.fastapi_app import app

        from tracking_server import patches
        from tracking_server.artifacts import routes
        from tracking_server.fast import front, reach
        from tracking_server.http import database, malformed
        from tracking_server.logins import permissions

    context = _context(settings)
    patches.apply(context)
    if context.auth:
        flask_app.before_request(permissions.note_checked)
    malformed.refuse(app, flask_app)
    if reach.is_on(settings):
        front.add(app, settings)
    if settings.on_s3:
        routes.add(app, logins=bool(settings.logins))
    app.add_middleware(Bodies, limit=settings.body_limit)
    if settings.logins:
        accounts.guard(app)  # around the former: without a login, no body is read
        app.add_middleware(Origins, names=settings.names)
    app.add_middleware(Unread)
    app.add_middleware(Whole)
    app.add_middleware(Ending)
    database.register(flask_app)
    failures.register(app, flask_app)
    checks = readiness.checks(settings, schema.installed().head)
    probe = readiness.Readiness(checks, {"fast_path": reach.reach(settings)})
    # First, because MLflow mounts its Flask application on everything; under MLflow's
    # middleware like every route, so that Host and Origin are checked here as well.
    app.router.routes.insert(0, Route("/readyz", probe.endpoint, methods=["GET"]))
    return _counted(app, flask_app, settings, probe, counts) if counts else app


def _context(settings: Settings) -> Context:
    """What the patches need: the guard asks for the permissions of the logins, where there are."""
    from mlflow.server import handlers
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from tracking_server.addresses.caller import Logins, NoLogins
    from tracking_server.addresses.guard import Guard
    from tracking_server.patches import Context

    def engine() -> Engine:
        store = cast(SqlAlchemyStore, handlers._get_tracking_store())
        return store.engine

    if not settings.logins:
        return Context(Guard(engine, NoLogins(), settings.artifact_prefixes))
    from mlflow.server import auth

    return Context(Guard(engine, Logins(auth), settings.artifact_prefixes), auth)


def _counted(
    app: FastAPI, flask_app: Flask, settings: Settings, probe: readiness.Readiness, counts: Counts
) -> ASGIApp:
    from tracking_server.metrics.counted import Counted
    from tracking_server.metrics.page import MetricsPage
    from tracking_server.metrics.routes import templates

    page = MetricsPage(settings, probe, counts)
    return Counted(app, templates(flask_app), settings.metrics_port, page)
