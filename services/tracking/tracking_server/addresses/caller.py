"""Who asks, and what MLflow lets them do with what an address names."""

from __future__ import annotations

from types import ModuleType
from typing import Literal, Protocol

from tracking_server.addresses.owners import Experiment, Model, Owner
from tracking_server.logins.throttle import CALLER

Action = Literal["read", "update", "manage"]


class Permissions(Protocol):
    """What callers may do. has_logins: whether somebody is known to call."""

    has_logins: bool

    def is_administrator(self) -> bool:
        """Whether the caller may use what nobody owns."""

    def allow(self, owner: Owner, action: Action) -> bool:
        """Whether the caller may do that with what belongs to `owner`."""


class NoLogins:
    """Everybody may use whatever lies in the artifact store, and there are no administrators."""

    has_logins = False

    def is_administrator(self) -> bool:
        """Nobody is."""
        return False

    def allow(self, owner: Owner, action: Action) -> bool:  # noqa: ARG002
        """Everybody may."""
        return True


class Logins:
    """The permissions of `mlflow.server.auth`. Of its names, some are private: a unit test fails
    where MLflow renames one."""

    has_logins = True

    def __init__(self, auth: ModuleType) -> None:
        self._auth = auth

    def is_administrator(self) -> bool:
        """Whether the caller's login is one's."""
        user = CALLER.get()
        return user is not None and bool(self._auth.store.get_user(user).is_admin)

    def allow(self, owner: Owner, action: Action) -> bool:
        """Whether MLflow lets the caller do that."""
        user = CALLER.get()
        if user is None:
            return False
        if isinstance(owner, Model):
            return self._allow_model(owner, user, action)
        return self._allow_experiment(owner, user, action)

    def _allow_model(self, owner: Model, user: str, action: Action) -> bool:
        auth, anchor = self._auth, ("registered_model", owner.name)
        versions = auth.Requirement(
            "registered_model_version", "*", auth.ACTION_NOT_DENIED, fallback_if_no_grant=(anchor,)
        )
        return bool(auth.authorize(user, anchor, [auth.Requirement(*anchor, action), versions]))

    def _allow_experiment(self, owner: Experiment, user: str, action: Action) -> bool:
        """Decide as MLflow does on a path of its artifact routes: runs, logged models and traces
        can have permissions of their own."""
        auth = self._auth
        child = auth._artifact_proxy_child(f"{owner.id}/{owner.inside}", action)
        allowed: bool = auth._authorize_artifact_proxy_resolved(
            child, user, action, lambda: auth._get_experiment_permission(owner.id, user)
        )
        return allowed
