"""What belongs to everybody is for administrators to show and to change.

MLflow lets every user list all users and what each may do, see what all have spent at the gateway,
make demo data, and talk to the assistant, which runs programs on the server; and whoever may edit
the experiment `Default` may rename it for all.

Some names of `mlflow.server.auth` are private: this fails at the start where MLflow renames one,
or a route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tracking_server.backend.stores import DEFAULT_EXPERIMENT

ADMINISTRATORS_ONLY = (
    ("GET", "LIST_USERS"),
    ("GET", "AJAX_LIST_USERS"),
    ("POST", "DEMO_GENERATE"),
    # The users' own permissions are among the roles of the only workspace.
    ("GET", "GET_ROLE"),
    ("GET", "AJAX_GET_ROLE"),
    ("GET", "LIST_ROLES"),
    ("GET", "AJAX_LIST_ROLES"),
    ("GET", "LIST_ROLE_PERMISSIONS"),
    ("GET", "AJAX_LIST_ROLE_PERMISSIONS"),
)
"""Methods, and names that `mlflow.server.auth.routes` has for paths. What users may ask of
themselves has other routes, or names them."""
BUDGETS = tuple(
    (f"{api}/3.0/mlflow/gateway/budgets/{name}", "GET")
    for api in ("/api", "/ajax-api")
    for name in ("get", "list", "windows")
)
OF_EXPERIMENTS = tuple(
    (f"{api}/2.0/mlflow/experiments/{name}", "POST")
    for api in ("/api", "/ajax-api")
    for name in ("update", "delete", "restore")
)
"""Where the experiment `Default` is spared."""
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"

Validator = Callable[[], bool]
AsyncValidator = Callable[[str, Any], Awaitable[bool]]
Rules = dict[tuple[str, str], Validator]
"""A validator for each path and method."""
Finder = Callable[[str, str], AsyncValidator | None]


def stricter(rules: Rules, auth: Any) -> Rules:
    """The rules of `mlflow.server.auth`, which refuse these to all but administrators: those are
    asked nothing."""
    refused = [(getattr(auth.routes, name), method) for method, name in ADMINISTRATORS_ONLY]
    refused += BUDGETS
    if missing := set(refused) - rules.keys():
        raise RuntimeError(f"MLflow has no rule any more for {sorted(missing)}")
    return {
        **rules,
        **dict.fromkeys(refused, auth.sender_is_admin),
        **{route: _sparing_default(auth, rules[route]) for route in OF_EXPERIMENTS},
    }


def without_assistant(find: Finder) -> Finder:
    """Let nobody but administrators reach the assistant."""

    async def refuse(*_: Any) -> bool:
        return False

    def find_closed(path: str, method: str) -> AsyncValidator | None:
        return refuse if path.startswith(ASSISTANT) else find(path, method)

    return find_closed


def _sparing_default(auth: Any, validator: Validator) -> Validator:
    def validate() -> bool:
        try:
            experiment = int(auth._get_request_param("experiment_id"))
        except (TypeError, ValueError):  # MLflow says what is wrong with it
            return validator()
        return experiment != DEFAULT_EXPERIMENT and validator()

    return validate
