"""`tracking-server user ...` and `tracking-server permission ...`."""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from typing import TYPE_CHECKING

from tracking_server.backend import stores
from tracking_server.errors import RefusedError
from tracking_server.logins import accounts
from tracking_server.settings import Settings

if TYPE_CHECKING:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

PERMISSIONS = ("READ", "USE", "EDIT", "MANAGE", "DENY")
NAME = re.compile(r"[A-Za-z0-9.@_+-]{1,64}")  # a colon ends it in a login
KINDS = {"experiment": "experiment", "model": "registered_model", "prompt": "prompt"}
PROMPTS = """
    SELECT name FROM registered_model_tags
    WHERE key = 'mlflow.prompt.is_prompt' AND lower(value) = 'true'
"""
ALL = "SELECT name FROM registered_models"
"""Models, and the prompts that are kept among them."""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands `user` and `permission`."""
    user = commands.add_parser("user", help="add, list and remove users; set passwords")
    actions = user.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a user, and print the password")
    add.add_argument("--admin", action="store_true", help="may do everything")
    for parser, do in (
        (add, _add),
        (actions.add_parser("password", help="give a user another one, and print it"), _password),
        (actions.add_parser("remove", help="remove a user and its permissions"), _remove),
    ):
        parser.add_argument("name", help="the user")
        if do is not _remove:
            parser.add_argument(
                "--stdin", action="store_true", help="read the password (12 characters or more)"
            )
        parser.set_defaults(do=do)
    actions.add_parser("list", help="show all").set_defaults(do=_list)

    permission = commands.add_parser("permission", help="grant, revoke and list permissions")
    actions = permission.add_subparsers(required=True, metavar="ACTION")
    grant = actions.add_parser("grant", help="let a user do something")
    revoke = actions.add_parser("revoke", help="take it back")
    for parser, act in ((grant, _grant), (revoke, _revoke)):
        parser.add_argument("name", help="the user")
        if act is _grant:
            parser.add_argument("permission", choices=PERMISSIONS, help="what it may do")
        parser.add_argument("kind", choices=KINDS, help="of what")
        parser.add_argument("what", help="its name; '*' for all")
        parser.set_defaults(do=act)
    listed = actions.add_parser("list", help="show a user's")
    listed.add_argument("name", help="the user")
    listed.set_defaults(do=_permissions)


def run(settings: Settings, asked: argparse.Namespace) -> None:
    """Raises RefusedError with one line on what cannot be done."""
    if asked.do in (_add, _password, _remove) and asked.name in accounts.PASSWORD_FILES:
        file = accounts.PASSWORD_FILES[asked.name]
        raise RefusedError(
            f"{asked.name} is the stack's own, with the secret {file} as its password: "
            f"`docker compose run --rm secrets rotate {file}` makes another"
        )
    with accounts.users(settings) as store:
        asked.do(store, asked, settings)


def _add(store: SqlAlchemyStore, asked: argparse.Namespace, _: Settings) -> None:
    if not NAME.fullmatch(asked.name):
        raise RefusedError(f"user {asked.name!r}: expected letters, digits and .@_+-, 64 at most")
    if store.has_user(asked.name):
        raise RefusedError(f"there is a user {asked.name} already")
    password = _new(asked)
    store.create_user(asked.name, password, is_admin=asked.admin)
    # Where runs go that name no experiment, `mlflow run` of a project for one: nobody made it.
    store.grant_user_permission(asked.name, "experiment", str(stores.DEFAULT_EXPERIMENT), "EDIT")
    _tell(asked, password)


def _password(store: SqlAlchemyStore, asked: argparse.Namespace, _: Settings) -> None:
    password = _new(asked)
    store.update_user(asked.name, password=password)
    _tell(asked, password)
    print(f"The old one ends within {accounts.CACHE_SECONDS} s.", file=sys.stderr)


def _remove(store: SqlAlchemyStore, asked: argparse.Namespace, _: Settings) -> None:
    store.delete_user(asked.name)
    print(f"removed {asked.name}")
    print(f"What it opened ends within {accounts.CACHE_SECONDS} s.", file=sys.stderr)


def _list(store: SqlAlchemyStore, _: argparse.Namespace, __: Settings) -> None:
    for user in sorted(store.list_users(), key=lambda one: one.username):
        print(f"{user.username}  admin" if user.is_admin else user.username)


def _grant(store: SqlAlchemyStore, asked: argparse.Namespace, settings: Settings) -> None:
    what = _identified(asked, settings)
    store.grant_user_permission(asked.name, KINDS[asked.kind], what, asked.permission)
    print(f"{asked.name} may {asked.permission} {asked.kind} {asked.what}")
    if asked.kind != "experiment" and what != "*" and what not in _known(asked.kind, settings):
        # It may come later, so this is no mistake for certain.
        print(f"There is no {asked.kind} {what} yet.", file=sys.stderr)


def _revoke(store: SqlAlchemyStore, asked: argparse.Namespace, settings: Settings) -> None:
    what = _identified(asked, settings)
    store.revoke_user_resource_permission(asked.name, KINDS[asked.kind], what)
    print(f"{asked.name} has no permission of its own on {asked.kind} {asked.what}")


def _permissions(store: SqlAlchemyStore, asked: argparse.Namespace, _: Settings) -> None:
    for role in store.list_user_roles(store.get_user(asked.name).id):
        for grant in role.permissions:
            print(f"{grant.permission:<7} {grant.resource_type} {grant.resource_pattern}")


def _identified(asked: argparse.Namespace, settings: Settings) -> str:
    """What MLflow knows it by: experiments have numbers."""
    what: str = asked.what
    if asked.kind != "experiment" or what == "*":
        return what
    rows = stores.open_store(settings).rows("SELECT experiment_id, name FROM experiments")
    for number, name in rows:
        if what in (name, str(number)):
            return str(number)
    raise RefusedError(f"there is no experiment {what}")


def _known(kind: str, settings: Settings) -> set[str]:
    store = stores.open_store(settings)
    prompts = {name for (name,) in store.rows(PROMPTS)}
    return prompts if kind == "prompt" else {name for (name,) in store.rows(ALL)} - prompts


def _new(asked: argparse.Namespace) -> str:
    if not asked.stdin:
        return secrets.token_urlsafe(18)
    password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < 12:
        raise RefusedError(f"expected a password of 12 characters or more, found {len(password)}")
    return password


def _tell(asked: argparse.Namespace, password: str) -> None:
    """The password alone on standard output, for a script to take."""
    if asked.stdin:
        print(f"{asked.name} has that password", file=sys.stderr)
        return
    print(f"The password of {asked.name}, shown once:", file=sys.stderr)
    print(password)
