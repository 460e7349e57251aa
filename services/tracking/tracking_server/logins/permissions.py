"""MLflow's permission checks, with fewer questions to the databases.

For each call on a run, MLflow reads all that was logged to it, to learn the experiment whose
permissions hold; and the caller twice, to learn whether it is an administrator and what it may do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from flask import g, has_request_context

RUNS = 100_000
"""How many runs' experiments a worker keeps."""


def knowing_experiments(store: Callable[[], Any]) -> Callable[[], Any]:
    """The backend store, whose runs are nothing but their experiment: a run never moves to
    another one."""

    @lru_cache(RUNS)
    def experiment_of(run_id: str) -> str:
        experiment: str = store().get_run(run_id).info.experiment_id
        return experiment

    class Runs:
        def __getattr__(self, name: str) -> Any:
            return getattr(store(), name)

        def get_run(self, run_id: str) -> SimpleNamespace:
            return SimpleNamespace(info=SimpleNamespace(experiment_id=experiment_of(run_id)))

    runs = Runs()
    return lambda: runs


def asking_once(get_user: Callable[[str], Any]) -> Callable[[str], Any]:
    """Read the caller once, and keep nothing of it beyond the check of one request."""

    def once(username: str) -> Any:
        if not has_request_context() or g.get("permissions_checked"):
            return get_user(username)
        users = g.setdefault("users_read", {})
        if username not in users:
            users[username] = get_user(username)
        return users[username]

    return once


def note_checked() -> None:
    """Mark the request as checked: the routes themselves may change users, and read them."""
    g.permissions_checked = True
