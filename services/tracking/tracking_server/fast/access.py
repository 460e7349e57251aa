"""What callers may do, where there are logins: what MLflow's own rules allow for certain.

`throttle` has checked the password. Nothing is refused here: what is not allowed is MLflow's to
answer. Grants are read for each request, as MLflow reads them, so that changes hold at once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Literal, NamedTuple

from mlflow.server.auth import _absent_permission, auth_config
from mlflow.server.auth.requirements import (
    ACTION_NOT_DENIED,
    Requirement,
    fold_grants_for_key,
    is_workspace_admin_grant,
    requirement_satisfied,
    requirement_to_grant_load_keys,
)
from mlflow.server.auth.sqlalchemy_store import RoleGrantRow
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

from tracking_server.fast.connection import connect
from tracking_server.fast.group import Group
from tracking_server.fast.lookups import Lookup
from tracking_server.fast.pages import Histories, History, Samples, SearchRuns
from tracking_server.fast.plain import Log
from tracking_server.fast.runs import NewRun, Update
from tracking_server.logins.throttle import CALLER

Action = Literal["read", "update", "create"]
NEEDED: dict[Action, tuple[str, str]] = {
    "read": ("read", "read"),
    "update": ("read", "update"),
    "create": ("update", ACTION_NOT_DENIED),
}
"""What is asked of the experiment, and of its runs."""
Pair = tuple[str, str]
"""A user and an experiment."""

ASKED_AT_ONCE = 256
RUNS = 100_000
"""How many runs' experiments a worker keeps: a run never moves to another one."""
DECISIONS = 10_000
TYPES = ("experiment", "run", "logged_model", "workspace")
"""Of grants that decide here."""
GRANTS = f"""
PREPARE grants (text[], text[]) AS
SELECT asked.username, asked.experiment, u.is_admin,
  g.resource_type, g.resource_pattern, g.permission
FROM unnest($1, $2) AS asked (username, experiment) JOIN users u USING (username)
LEFT JOIN LATERAL (
  SELECT p.resource_type, p.resource_pattern, p.permission
  FROM user_role_assignments a JOIN roles r ON r.id = a.role_id
    JOIN role_permissions p ON p.role_id = r.id
  WHERE a.user_id = u.id AND r.workspace = '{DEFAULT_WORKSPACE_NAME}'
    AND p.resource_type IN {TYPES} AND p.resource_pattern IN ('*', asked.experiment)
) AS g ON true
"""


class Asked(NamedTuple):
    """Whether a user may do something with the runs of each of these experiments."""

    user: str
    action: Action
    experiments: Sequence[str]


class Grants:
    """A connection to the database of logins. To make it may raise anything of psycopg2's."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(dsn)  # which keeps no state of an earlier moment
        self.close = self._connection.close
        with self._connection.cursor() as cursor:
            cursor.execute(GRANTS)

    def do(self, items: Sequence[Asked]) -> Sequence[bool]:
        """See Store: whether MLflow allows each."""
        pairs = {(item.user, experiment) for item in items for experiment in item.experiments}
        administrators: set[str] = set()
        grants: defaultdict[Pair, set[RoleGrantRow]] = defaultdict(set)
        with self._connection.cursor() as cursor:
            users, experiments = (list(column) for column in zip(*pairs, strict=True))
            cursor.execute("EXECUTE grants (%s, %s)", (users, experiments))
            for user, experiment, is_admin, *grant in cursor:
                if is_admin:
                    administrators.add(user)
                held = grants[user, experiment]  # there, whoever has no grant
                if grant[0] is not None:
                    held.add(RoleGrantRow(*grant))
        return [
            item.user in administrators
            or all(
                (item.user, experiment) in grants
                and _allows(item.action, experiment, frozenset(grants[item.user, experiment]))
                for experiment in item.experiments
            )
            for item in items
        ]


@lru_cache(DECISIONS)
def _allows(action: Action, experiment: str, grants: frozenset[RoleGrantRow]) -> bool:
    """Whether these let a user do that with the experiment and its runs, and see the models that
    runs name: MLflow takes those out of an answer, where a user is denied them."""
    if any(map(is_workspace_admin_grant, grants)):
        return True
    of_experiment, (needed, of_runs) = ("experiment", experiment), NEEDED[action]
    absent = _absent_permission(DEFAULT_WORKSPACE_NAME)
    requirements = [
        Requirement(*of_experiment, needed),
        Requirement("run", "*", of_runs, fallback_if_no_grant=(of_experiment,)),
        Requirement("logged_model", "*", ACTION_NOT_DENIED),
    ]
    return all(
        requirement_satisfied(
            requirement,
            {
                key: fold_grants_for_key(list(grants), key)
                for key in requirement_to_grant_load_keys(requirement)
            },
            auth_config.default_permission,
            absent,
        )
        for requirement in requirements
    )


class Access:
    """Asks about the caller."""

    def __init__(self, dsn: str, lookups: Group[Lookup, bytes]) -> None:
        self._grants: Group[Asked, bool] = Group(partial(Grants, dsn), ASKED_AT_ONCE)
        self._lookups = lookups
        self._experiments: dict[str, str] = {}

    async def allows(self, item: object) -> bool:
        """Whether the caller may have this done, for certain."""
        user, touched = CALLER.get(), await self._touched(item)
        if user is None or touched is None:
            return False
        return bool(await self._grants.do(Asked(user, *touched)))

    async def _touched(self, item: object) -> tuple[Action, Sequence[str]] | None:
        """What is done, and with the runs of which experiments; None where that is not known."""
        action: Action = "read"
        match item:
            case Log(run=run):
                action, found = "update", [await self._of_run(run)]
            case Update(run_id=run):
                action, found = "update", [await self._of_run(run)]
            case NewRun(experiment_id=experiment):
                action, found = "create", [experiment]
            case Lookup("run", run) | History(run=run):
                found = [await self._of_run(run)]
            case Histories(runs=runs) | Samples(runs=runs):
                found = await asyncio.gather(*map(self._of_run, runs))
            case Lookup("experiment", experiment):
                found = [experiment]
            case Lookup("experiment_by_name", name):
                found = [await self._found("experiment_of_name", name)]
            case SearchRuns(experiment_ids=ids):
                found = [*ids]
            case _:
                return None
        known = [experiment for experiment in found if experiment is not None]
        return (action, known) if known and len(known) == len(found) else None

    async def _of_run(self, run: str) -> str | None:
        experiment = self._experiments.get(run)
        if experiment is None and (experiment := await self._found("experiment_of_run", run)):
            if len(self._experiments) >= RUNS:
                self._experiments.clear()
            self._experiments[run] = experiment
        return experiment

    async def _found(self, kind: str, key: str) -> str | None:
        answer = await self._lookups.do(Lookup(kind, key))
        return None if answer is None else answer.decode()
