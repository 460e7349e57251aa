"""What is replaced in MLflow, why, and by what: all of it, and nowhere else.

MLflow is installed as it was released. Where it has no hook, or one for installed distributions
alone (these services run from a folder), a name of its modules is bound anew, once, before it
serves. tests/unit/tracking/test_patches.py fails for each entry when MLflow renames it or changes
its parameters, and when anything else of MLflow's is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from mlflow.store.db.db_types import DATABASE_ENGINES

from tracking_server.addresses import handlers, stores
from tracking_server.addresses.guard import Guard
from tracking_server.artifacts.s3 import ProxiedS3
from tracking_server.http import malformed
from tracking_server.logins import administrators, checking, identifiers, permissions

AUTH = "mlflow.server.auth"
HANDLERS = "mlflow.server.handlers"
ARTIFACT_ROUTER = "mlflow.server.artifact_router"
TRACKING_STORE = "mlflow.store.tracking.sqlalchemy_store"
ARTIFACT_REPOSITORIES = "mlflow.store.artifact.artifact_repository_registry"


class Context(NamedTuple):
    """What replacements need: the guard of addresses, and `mlflow.server.auth` with logins."""

    guard: Guard
    auth: ModuleType | None = None


class Patch(NamedTuple):
    """One name of MLflow's that is bound anew.

    owner: a module, or MODULE:ATTRIBUTE of one. parameters: what MLflow's function takes, None for
    what is no function. by: makes the replacement out of the original.
    """

    owner: str
    name: str
    parameters: tuple[str, ...] | None
    why: str
    by: Callable[[Any, Context], Any]


class Registration(NamedTuple):
    """A class of ours in one of MLflow's registries, in place of MLflow's own.

    registry: MODULE:ATTRIBUTE. by: makes what the registry calls.
    """

    registry: str
    schemes: Iterable[str]
    why: str
    by: Callable[[Guard], Callable[..., Any]]


PROXIED_S3 = Registration(
    f"{ARTIFACT_REPOSITORIES}:_artifact_repository_registry",
    ("s3",),
    "S3 without presigned URLs, which name an address that clients cannot reach",
    lambda _: ProxiedS3,
)

REGISTRATIONS = (
    PROXIED_S3,
    Registration(
        f"{HANDLERS}:_tracking_store_registry",
        DATABASE_ENGINES,
        "addresses are asked about before they are stored or handed out, whatever the route",
        stores.tracking_store,
    ),
    Registration(
        f"{HANDLERS}:_model_registry_store_registry",
        DATABASE_ENGINES,
        "the same of sources of model versions",
        stores.registry_store,
    ),
)

SCOPED_PATH = Patch(
    HANDLERS,
    "_get_workspace_scoped_repo_path_if_enabled",
    ("artifact_path",),
    "every artifact route of Flask's turns its path into files here",
    lambda path, context: handlers.proxied_path(path, context.guard),
)

PATCHES = (
    Patch(
        "mlflow.server:app.view_functions",
        malformed.GRAPHQL,
        (),
        "what is no GraphQL query is a 400, where MLflow answers a bare 500",
        lambda view, _: malformed.checked_graphql(view),
    ),
    Patch(
        TRACKING_STORE,
        "get_artifact_repository",
        ("artifact_uri", "tracking_uri", "registry_uri"),
        "a trace may say itself where it was archived",
        lambda repository, context: handlers.archived_trace(repository, context.guard),
    ),
    Patch(
        HANDLERS,
        "_get_artifact_repository_for_uri",
        ("artifact_uri",),
        "routes read with the server's credentials whatever a stored address names",
        lambda repository, context: handlers.stored(repository, context.guard),
    ),
    Patch(
        HANDLERS,
        "_get_trace_repo_from_uri",
        ("artifact_uri",),
        "the same where a trace's data is read",
        lambda repository, context: handlers.trace(repository, context.guard),
    ),
    SCOPED_PATH,
    Patch(
        ARTIFACT_ROUTER,
        "_get_workspace_scoped_path",
        ("artifact_path",),
        "every artifact route of FastAPI's does here, by the function of Flask's",
        lambda _, context: handlers.native_path(original(SCOPED_PATH), context.guard),
    ),
)

PATCHES_WITH_LOGINS = (
    Patch(
        AUTH,
        "BEFORE_REQUEST_VALIDATORS",
        None,
        "lists of users, roles and budgets, demo data and the experiment Default are everybody's: "
        "administrators show and change them",
        lambda rules, context: administrators.stricter(rules, context.auth),
    ),
    Patch(
        AUTH,
        "_find_fastapi_validator",
        ("path", "method"),
        "the assistant runs programs on the server",
        lambda find, _: administrators.without_assistant(find),
    ),
    Patch(
        AUTH,
        "fold_grants_for_key",
        ("grants", "key"),
        "another spelling of an experiment's id would find no permission but the default one",
        lambda find, _: identifiers.strict(find),
    ),
    Patch(
        AUTH,
        "_get_tracking_store",
        ("backend_store_uri", "default_artifact_root"),  # which it calls without
        "a permission check reads all of a run, to learn its experiment",
        lambda store, _: permissions.knowing_experiments(store),
    ),
    Patch(
        f"{AUTH}:store",
        "get_user",
        ("username",),
        "a permission check reads the caller twice",
        lambda get_user, _: permissions.asking_once(get_user),
    ),
    Patch(
        f"{AUTH}:store",
        "authenticate_user",
        ("username", "password", "use_primary"),
        "each check of a password takes 32 MiB: few run at one time",
        lambda authenticate, _: checking.few_at_once(authenticate),
    ),
    Patch(
        f"{AUTH}.sqlalchemy_store",
        "check_password_hash",
        ("pwhash", "password"),
        "each worker would check every user's password again each minute, and they wait for it",
        lambda fits, _: checking.checked_once(fits),
    ),
    Patch(
        AUTH,
        "_authorize_fastapi_artifact_proxy",
        ("path", "username", "query_path", "action"),
        "MLflow takes the default permission for artifacts that lie in no experiment's own folder, "
        "and this route may ask no database later",
        lambda allow, context: handlers.allow_native(allow, context.guard, context.auth),
    ),
    Patch(
        AUTH,
        "_authorize_flask_artifact_proxy",
        ("action",),
        "the same of Flask's routes, whose path is asked about later",
        lambda allow, context: handlers.allow_flask(allow, context.auth),
    ),
)


def apply(context: Context) -> None:
    """Replace everything, in this process; once, before MLflow opens its stores."""
    for registration in REGISTRATIONS:
        register(registration, registration.by(context.guard))
    patches = (*PATCHES, *(PATCHES_WITH_LOGINS if context.auth else ()))
    # All are made before any is there: one may call another's original.
    replacements = [patch.by(original(patch), context) for patch in patches]
    for patch, replacement in zip(patches, replacements, strict=True):
        owner = resolve(patch.owner)
        if isinstance(owner, dict):
            owner[patch.name] = replacement
        else:
            setattr(owner, patch.name, replacement)


def register(registration: Registration, made: Callable[..., Any]) -> None:
    """Put one class into MLflow's registry."""
    registry = resolve(registration.registry)
    for scheme in registration.schemes:
        registry.register(scheme, made)


def original(patch: Patch) -> Any:
    """What MLflow has under the name. Raises AttributeError or KeyError when it has it no more."""
    owner = resolve(patch.owner)
    return owner[patch.name] if isinstance(owner, dict) else getattr(owner, patch.name)


def resolve(place: str) -> Any:
    """The module, or what MODULE:ATTRIBUTE.ATTRIBUTE names."""
    module, _, attributes = place.partition(":")
    return reduce(getattr, filter(None, attributes.split(".")), import_module(module))
