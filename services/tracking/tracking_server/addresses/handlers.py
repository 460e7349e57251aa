"""Guarded forms of the functions of MLflow's server in which an address or a path becomes files.

`tracking_server.patches` puts each in place of MLflow's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import request

from tracking_server.addresses.caller import Action
from tracking_server.addresses.guard import Guard

ARTIFACTS = "/mlflow-artifacts/"
UPLOAD = "/mlflow/upload-artifact"
ACTIONS: dict[str, Action] = {"PUT": "update", "POST": "update", "DELETE": "manage"}

Repository = Callable[[str], Any]


def archived_trace(repository: Repository, guard: Guard) -> Repository:
    """Guard the address that a trace was archived at."""

    def guarded(artifact_uri: str) -> Any:
        guard.use(artifact_uri)
        return repository(artifact_uri)

    return guarded


def stored(repository: Repository, guard: Guard) -> Repository:
    """Guard an address of a run, a logged model or a version."""

    def guarded(artifact_uri: str) -> Any:
        guard.files(artifact_uri, _action())
        return repository(artifact_uri)

    return guarded


def trace(repository: Repository, guard: Guard) -> Repository:
    """Guard the address of a trace."""

    def guarded(artifact_uri: str) -> Any:
        guard.files(artifact_uri)
        return repository(artifact_uri)

    return guarded


def proxied_path(
    path: Callable[[str | None], str | None], guard: Guard
) -> Callable[[str | None], str | None]:
    """Guard a path of Flask's artifact routes."""

    def guarded(artifact_path: str | None) -> str | None:
        guard.path(artifact_path or "", _action())
        return path(artifact_path)

    return guarded


def native_path(path: Callable[[str], str], guard: Guard) -> Callable[[str], str]:
    """Guard a path of FastAPI's artifact routes, whose permission a thread has asked for before."""

    def guarded(artifact_path: str) -> str:
        guard.place(artifact_path)
        return path(artifact_path)

    return guarded


def allow_native(allow: Callable[..., bool], guard: Guard, auth: Any) -> Callable[..., bool]:
    """Ask here, since FastAPI's routes answer on the event loop, where no database may be asked;
    also about paths that belong to experiments whose artifacts lie elsewhere."""

    def guarded(path: str, username: str, query_path: str | None, action: Action) -> bool:
        artifact = auth._artifact_proxy_path_from_request_path(path, query_path)
        artifact = auth._canonical_artifact_proxy_path(artifact or "") or ""
        if not (_is_moved(artifact) or allow(path, username, query_path, action)):
            return False
        guard.path(artifact, action)
        return True

    return guarded


def allow_flask(allow: Callable[[Action], bool], auth: Any) -> Callable[[Action], bool]:
    """Leave paths that belong to such experiments to `proxied_path`, which comes later."""

    def guarded(action: Action) -> bool:
        artifact = auth._canonical_artifact_proxy_path(auth._artifact_proxy_path() or "") or ""
        return _is_moved(artifact) or allow(action)

    return guarded


def _is_moved(path: str) -> bool:
    """Whether MLflow cannot tell whose artifacts lie there, and would take the permission that
    users have by default."""
    return not path.partition("/")[0].isdecimal()


def _action() -> Action:
    """What the request does with artifacts: GraphQL reads by POST."""
    if ARTIFACTS in request.path or request.path.endswith(UPLOAD):
        return ACTIONS.get(request.method, "read")
    return "read"
