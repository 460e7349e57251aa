"""The places in MLflow's server where an address or a path becomes files.

MLflow has no hook there: functions of its modules are wrapped, and a unit test fails where MLflow
renames one, or takes other parameters.
"""

from __future__ import annotations

from typing import Any

from flask import request
from mlflow.server import artifact_router, handlers
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.tracking import sqlalchemy_store

from tracking_server.addresses.caller import Action, Logins, NoLogins
from tracking_server.addresses.guard import Guard
from tracking_server.addresses.stores import registry_store, tracking_store
from tracking_server.settings import Settings

ARTIFACTS = "/mlflow-artifacts/"
UPLOAD = "/mlflow/upload-artifact"
ACTIONS: dict[str, Action] = {"PUT": "update", "POST": "update", "DELETE": "manage"}


def guard(settings: Settings) -> None:
    """Guard the addresses of MLflow's server in this process; before it opens its stores."""
    if settings.logins:
        from mlflow.server import auth

        permissions = Logins(auth)
    else:
        auth, permissions = None, NoLogins()
    guarding = Guard(
        lambda: handlers._get_tracking_store().engine, permissions, settings.artifact_prefixes
    )
    _guard_stores(guarding)
    _guard_handlers(guarding)
    if auth is not None:
        _guard_proxy(guarding, auth)


def _guard_stores(guarding: Guard) -> None:
    tracking, registry = tracking_store(guarding), registry_store(guarding)
    for scheme in DATABASE_ENGINES:
        handlers._tracking_store_registry.register(
            scheme, lambda store_uri, artifact_uri: tracking(store_uri, artifact_uri)
        )
        handlers._model_registry_store_registry.register(
            scheme, lambda store_uri: registry(store_uri)
        )
    repository = sqlalchemy_store.get_artifact_repository

    def of_archived_trace(artifact_uri: str) -> Any:
        guarding.use(artifact_uri)
        return repository(artifact_uri)

    sqlalchemy_store.get_artifact_repository = of_archived_trace


def _guard_handlers(guarding: Guard) -> None:
    stored, of_trace = handlers._get_artifact_repository_for_uri, handlers._get_trace_repo_from_uri
    proxied = handlers._get_workspace_scoped_repo_path_if_enabled

    def repository(artifact_uri: str) -> Any:
        guarding.files(artifact_uri, _action())
        return stored(artifact_uri)

    def repository_of_trace(artifact_uri: str) -> Any:
        guarding.files(artifact_uri)
        return of_trace(artifact_uri)

    def path(artifact_path: str | None) -> str | None:
        guarding.path(artifact_path or "", _action())
        return proxied(artifact_path)

    def native_path(artifact_path: str) -> str:
        guarding.place(artifact_path)  # whose permission was asked for before, by a thread
        return proxied(artifact_path)

    handlers._get_artifact_repository_for_uri = repository
    handlers._get_trace_repo_from_uri = repository_of_trace
    handlers._get_workspace_scoped_repo_path_if_enabled = path
    artifact_router._get_workspace_scoped_path = native_path


def _guard_proxy(guarding: Guard, auth: Any) -> None:
    """Paths that belong to experiments whose artifacts lie elsewhere, and the routes that answer
    on the event loop, where no database may be asked."""
    native, flask = auth._authorize_fastapi_artifact_proxy, auth._authorize_flask_artifact_proxy

    def allow_native(path: str, username: str, query_path: str | None, action: Action) -> bool:
        artifact = auth._artifact_proxy_path_from_request_path(path, query_path)
        artifact = auth._canonical_artifact_proxy_path(artifact or "") or ""
        if not (_is_moved(artifact) or native(path, username, query_path, action)):
            return False
        guarding.path(artifact, action)
        return True

    def allow_flask(action: Action) -> bool:
        artifact = auth._canonical_artifact_proxy_path(auth._artifact_proxy_path() or "") or ""
        return _is_moved(artifact) or flask(action)  # before `path` above, which decides

    auth._authorize_fastapi_artifact_proxy = allow_native
    auth._authorize_flask_artifact_proxy = allow_flask


def _is_moved(path: str) -> bool:
    """Whether MLflow cannot tell whose artifacts lie there, and would take the permission that
    users have by default."""
    return not path.partition("/")[0].isdecimal()


def _action() -> Action:
    """What the request does with artifacts: GraphQL reads by POST."""
    if ARTIFACTS in request.path or request.path.endswith(UPLOAD):
        return ACTIONS.get(request.method, "read")
    return "read"
