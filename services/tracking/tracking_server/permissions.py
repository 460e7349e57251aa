"""MLflow's permission checks, with fewer questions to the databases.

For each call on a run, MLflow reads all that was logged to it, to learn the experiment whose
permissions hold; and the caller twice, to learn whether it is an administrator and what it may do.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any

from flask import g, has_request_context

RUNS = 100_000
"""How many runs' experiments a worker keeps."""


def ask_less(auth: ModuleType) -> None:
    """Let `mlflow.server.auth` ask once. What it decides does not change: a run never moves to
    another experiment, and of a caller nothing is kept beyond the check of one request."""
    _know_experiments(auth)
    _know_the_caller(auth)


def _know_experiments(auth: ModuleType) -> None:
    store = auth._get_tracking_store

    @lru_cache(RUNS)
    def experiment_of(run_id: str) -> str:
        return store().get_run(run_id).info.experiment_id

    class Runs:
        """The backend store, whose runs are nothing but their experiment."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store(), name)

        def get_run(self, run_id: str) -> SimpleNamespace:
            return SimpleNamespace(info=SimpleNamespace(experiment_id=experiment_of(run_id)))

    runs = Runs()
    auth._get_tracking_store = lambda: runs


def _know_the_caller(auth: ModuleType) -> None:
    get_user = auth.store.get_user

    def once(username: str) -> Any:
        if not has_request_context() or g.get("permissions_checked"):
            return get_user(username)
        found = g.setdefault("users_found", {})
        if username not in found:
            found[username] = get_user(username)
        return found[username]

    def checked() -> None:
        g.permissions_checked = True  # the routes themselves may change users, and read them

    auth.store.get_user = once
    auth.app.before_request(checked)
