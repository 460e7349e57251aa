"""What belongs to everybody is for administrators to show and to change.

MLflow lets every user list all users and what each may do, see what all have spent at the gateway,
make demo data, and talk to the assistant, which runs programs on the server; and whoever may edit
the experiment `Default` may rename it for all.

Of `mlflow.server.auth`, some names are private: this fails at the start where MLflow renames one,
or a route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from mlflow.server.auth import routes

ADMINISTRATORS_ONLY = (
    ("GET", routes.LIST_USERS),
    ("GET", routes.AJAX_LIST_USERS),
    ("POST", routes.DEMO_GENERATE),
    # The users' own permissions are among the roles of the only workspace.
    *(
        ("GET", path)
        for path in (
            routes.GET_ROLE,
            routes.AJAX_GET_ROLE,
            routes.LIST_ROLES,
            routes.AJAX_LIST_ROLES,
            routes.LIST_ROLE_PERMISSIONS,
            routes.AJAX_LIST_ROLE_PERMISSIONS,
        )
    ),
    *(
        ("GET", f"{api}/3.0/mlflow/gateway/budgets/{name}")
        for api in ("/api", "/ajax-api")
        for name in ("get", "list", "windows")
    ),
)
"""Methods and paths. What users may ask of themselves has other routes, or names them."""
DEFAULT_EXPERIMENT = 0
OF_EXPERIMENTS = tuple(
    ("POST", f"{api}/2.0/mlflow/experiments/{name}")
    for api in ("/api", "/ajax-api")
    for name in ("update", "delete", "restore")
)
"""Where the experiment `Default` is spared."""
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"

Validator = Callable[[], bool]
AsyncValidator = Callable[[str, Any], Awaitable[bool]]


def keep(auth: ModuleType) -> None:
    """Let `mlflow.server.auth` refuse these to all but administrators, whom it asks nothing."""
    validators: dict[tuple[str, str], Validator] = auth.BEFORE_REQUEST_VALIDATORS
    missing = {(path, method) for method, path in ADMINISTRATORS_ONLY} - validators.keys()
    if missing:
        raise RuntimeError(f"MLflow has no rule any more for {sorted(missing)}")
    for method, path in ADMINISTRATORS_ONLY:
        validators[path, method] = auth.sender_is_admin
    for method, path in OF_EXPERIMENTS:
        validators[path, method] = _sparing_default(auth, validators[path, method])
    _close_the_assistant(auth)


def _sparing_default(auth: ModuleType, validator: Validator) -> Validator:
    def validate() -> bool:
        try:
            experiment = int(auth._get_request_param("experiment_id"))
        except (TypeError, ValueError):  # MLflow says what is wrong with it
            return validator()
        return experiment != DEFAULT_EXPERIMENT and validator()

    return validate


def _close_the_assistant(auth: ModuleType) -> None:
    find = auth._find_fastapi_validator

    async def refuse(*_: Any) -> bool:
        return False

    def find_closed(path: str, method: str) -> AsyncValidator | None:
        return refuse if path.startswith(ASSISTANT) else find(path, method)

    auth._find_fastapi_validator = find_closed
