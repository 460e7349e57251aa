"""MLflow's own application, with a truthful readiness probe and legible storage errors."""

from __future__ import annotations

import errno
import logging
import warnings

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.routing import Route

from tracking_server import logins, readiness, schema
from tracking_server.settings import Settings

logger = logging.getLogger(__name__)


def build(settings: Settings) -> FastAPI:
    """MLflow's application for these settings, whose environment must be applied already."""
    with warnings.catch_warnings():
        # MLflow's own use of a deprecated module is nothing that an operator can change.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        if settings.logins:
            app = logins.build(settings)
        else:
            from mlflow.server.fastapi_app import app

        from tracking_server import artifacts

    artifacts.register()
    checks = readiness.checks(settings, schema.installed().head)
    probe = readiness.Readiness(checks)
    # First, because MLflow mounts its Flask application on everything; under MLflow's
    # middleware like every route, so that Host and Origin are checked here as well.
    app.router.routes.insert(0, Route("/readyz", probe.endpoint, methods=["GET"]))
    app.add_exception_handler(OSError, _disk_error)
    return app


async def _disk_error(request: Request, error: OSError) -> JSONResponse:
    """An artifact that did not fit on a disk: 507 in MLflow's shape instead of a bare 500."""
    logger.error("%s %s: %s", request.method, request.url.path, error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "The tracking server's disk is full: the artifact was not stored."
        status = 507
    else:
        message = "The tracking server could not read or write its disk; see its log."
        status = 500
    return JSONResponse({"error_code": "INTERNAL_ERROR", "message": message}, status)
