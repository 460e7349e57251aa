"""The same with logins: the fast path answers whom MLflow's own code would, and nobody else."""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.ports import free_port
from harness.team import basic
from harness.tracking import on_postgres_and_s3
from tests.integration.tracking.fast.pair import API, COLUMNS, Side
from tests.integration.tracking.fast.test_same_answers import RUNS, SEED, Maker

CALLS = 5_000 if os.environ.get("FULL") == "1" else 300
USERS = ("ann", "bob", "cat", "dan")
WRONG = 5
"""Wrong passwords that a user may send within a minute, and a few less."""
EXPERIMENTS = ("0", "1", "2")
GRANTS = [
    *(("experiment", pattern) for pattern in (*EXPERIMENTS, "*")),
    *((kind, "*") for kind in ("run", "logged_model", "workspace", "trace")),
]
LEVELS = {"workspace": ("USE", "MANAGE")}
OTHERS = ("READ", "USE", "EDIT", "MANAGE", "DENY")
WHO = "SELECT id FROM users WHERE username = '{}'"
IS_ADMIN = "UPDATE users SET is_admin = {} WHERE username = '{}'"
RENAME = "UPDATE users SET username = '{}' WHERE username = '{}'"
REVOKE = """DELETE FROM role_permissions
WHERE role_id = {} AND resource_type = '{}' AND resource_pattern = '{}'"""
pytestmark = pytest.mark.timeout(7200 if CALLS > 1000 else 600)


class Guarded(Side):
    """A server with logins, whose users have a role each, and the same one elsewhere."""

    def __init__(self, folder, postgres, s3, passwords, **settings) -> None:
        self._postgres = postgres
        self.default = settings["TRACKING_DEFAULT_PERMISSION"]
        self._logins = postgres.create_database()
        server = on_postgres_and_s3(
            folder,
            postgres,
            s3,
            TRACKING_LOGINS=postgres.url(self._logins),
            TRACKING_WORKERS="1",  # each keeps passwords for a minute
            TRACKING_METRICS_PORT=str(free_port()),
            PYTHONHASHSEED="0",  # some of MLflow's messages show a set
            **settings,
        )
        for name in ("admin", "serving"):
            (folder / "secrets" / f"{name}-password").write_text(passwords[name])
        assert server.migrate().returncode == 0
        super().__init__(server.start(), lambda text: postgres.execute(text, server.database))
        self.admin = {"authorization": basic("admin", passwords["admin"])}
        for name in USERS:
            self.made("/users/create", {"username": name, "password": passwords[name]})
            for workspace, role in roles(name).items():
                self.add("roles", id=role, name=str(role), workspace=workspace)
                (user,) = postgres.execute(WHO.format(name), self._logins)[0]
                self.add("user_role_assignments", user_id=user, role_id=role)
        for name in ("one", "two"):
            self.made("/experiments/create", {"name": name})
        for number, run in enumerate(RUNS):
            experiment = number % len(EXPERIMENTS)
            at = f"mlflow-artifacts:/{experiment}/{run}/artifacts"
            row = (run, f"run {number}", "me", "RUNNING", number, "active", at, experiment)
            self.query(f"INSERT INTO runs ({COLUMNS}) VALUES {row}")  # noqa: S608
        models = [{"model_id": "m-1", "step": 3}]
        self.made("/runs/outputs", {"run_id": RUNS[1], "models": models})

    def made(self, path: str, body: dict, method: str = "POST") -> None:
        self.http.request(method, path, json=body, headers=self.admin).raise_for_status()

    def change(self, statement: str) -> str:
        """Change the logins as another worker does, which this one is not told."""
        self._postgres.execute(statement, self._logins)
        return statement

    def add(self, table: str, **row: object) -> str:
        """The same by a row."""
        names, values = ", ".join(row), ", ".join(f"'{value}'" for value in row.values())
        return self.change(f"INSERT INTO {table} ({names}) VALUES ({values})")  # noqa: S608

    def grant(self, role: int, kind: str, pattern: str, level: str) -> str:
        """Let whoever has the role do that."""
        columns = {"resource_type": kind, "resource_pattern": pattern, "permission": level}
        return self.add("role_permissions", role_id=role, **columns)


@pytest.fixture(scope="module")
def passwords():
    return {name: secrets.token_hex(16) for name in ("admin", "serving", *USERS)}


@pytest.fixture(scope="module")
def sides(postgres, s3, tmp_path_factory, passwords):
    """With the fast path, and without."""
    default = random.Random(SEED).choice(["READ", "EDIT", "NO_PERMISSIONS"])
    print(f"SEED={SEED}: {default} is what everybody may do")

    def make(fast: str) -> Guarded:
        settings = {"TRACKING_DEFAULT_PERMISSION": default, "TRACKING_FAST": fast}
        folder = tmp_path_factory.mktemp("guarded")
        return Guarded(folder, postgres, s3, passwords, **settings)

    with ThreadPoolExecutor() as threads:
        made = list(threads.map(make, "10"))
    yield made
    for side in made:
        side.server.stop()


def roles(user: str) -> dict[str, int]:
    """The ids of a user's roles, by workspace."""
    number = 1000 + USERS.index(user)
    return {"default": number, "elsewhere": number + 1000}


class Changes:
    """What administrators, and other workers, do at any time."""

    def __init__(self, chance: random.Random, sides: list[Guarded], passwords: dict) -> None:
        self._chance, self._sides, self._passwords = chance, sides, passwords
        self._gone = ""

    def make(self) -> str:
        """Make one, on both sides; what it was."""
        user, sort = self._chance.choice(USERS), self._chance.random()
        if self._gone:  # soon, so that the others do not forget the password meanwhile
            user, self._gone = self._gone, ""
            return self._rename(f"{user}-gone", user)
        if sort < 0.1:
            self._gone = user
            return self._rename(user, f"{user}-gone")
        if sort < 0.2:
            change = IS_ADMIN.format(self._chance.random() < 0.3, user)
            return self._all(lambda side: side.change(change))
        if sort < 0.25:
            self._passwords[user] = secrets.token_hex(16)
            for side in self._sides:
                new = {"username": user, "password": self._passwords[user]}
                side.made("/users/update-password", new, "PATCH")
            return f"{user} has another password"
        role = self._chance.choice([*[roles(user)["default"]] * 3, roles(user)["elsewhere"]])
        kind, pattern = self._chance.choice(GRANTS)
        done = self._all(lambda side: side.change(REVOKE.format(role, kind, pattern)))
        if self._chance.random() < 0.6:
            level = self._chance.choice(LEVELS.get(kind, OTHERS))
            done = self._all(lambda side: side.grant(role, kind, pattern, level))
        return done

    def _rename(self, old: str, new: str) -> str:
        return self._all(lambda side: side.change(RENAME.format(new, old)))

    def _all(self, change: Callable[[Guarded], str]) -> str:
        for side in self._sides:
            done = change(side)
        return done


def test_answers_and_databases_are_the_same_for_each_user(sides, passwords, record_property):
    chance, maker = random.Random(SEED), Maker(SEED)
    changes, wrong = Changes(chance, sides, passwords), Counter()
    fast, mlflow = sides
    statuses: Counter[int] = Counter()
    change = ""
    for number in range(CALLS):
        if chance.random() < 0.25:
            change = changes.make()
        user = chance.choice([*USERS * 3, "admin", "serving"])
        password = passwords[user]
        if chance.random() < 0.03 and wrong[user] < WRONG:
            password, wrong[user] = "wrong", wrong[user] + 1
        login = {"authorization": basic(user, password)}
        if chance.random() < 0.5:
            path, headers = maker.query(), maker.headers()
            ours, theirs = (side.get(path, headers | login) for side in (fast, mlflow))
        else:
            path, body, headers = maker.request()
            ours, theirs = (side.ask(path, body, headers | login) for side in (fast, mlflow))
        assert ours == theirs, f"call {number} of {user}: {path} {headers}, after {change}"
        statuses[theirs[0]] += 1
    assert fast.rows() == mlflow.rows()
    record_property("calls by status", dict(statuses))
    print(dict(statuses))
    assert statuses[200] > CALLS / 5
    assert statuses[403] > CALLS / 20
    assert fast.answered_fast() > statuses[200] / 2
    assert mlflow.answered_fast() == 0


def test_of_users_who_ask_at_once_each_is_answered_what_that_user_may(sides, passwords):
    """Their requests share statements."""
    fast, run = sides[0], RUNS[0]
    levels = dict(zip(USERS, ("DENY", "READ", "EDIT", "MANAGE"), strict=True))
    expected = {"DENY": (403, 403), "READ": (200, 403), "EDIT": (200, 200), "MANAGE": (200, 200)}
    if fast.default == "EDIT":  # at least
        expected["READ"] = (200, 200)
    fast.change("DELETE FROM role_permissions WHERE role_id >= 1000")
    fast.query("UPDATE runs SET lifecycle_stage = 'active'")
    for user, level in levels.items():  # as whoever asked before has left them
        fast.change(RENAME.format(user, f"{user}-gone"))
        fast.change(IS_ADMIN.format(False, user))
        fast.grant(roles(user)["default"], "experiment", "0", level)

    def ask(user: str) -> set[tuple[int, int]]:
        login = (user, passwords[user])
        with httpx.Client(base_url=fast.server.uri + API, auth=login, timeout=60) as http:
            point = {"run_id": run, "key": user, "value": 1, "timestamp": 1}
            return {
                (
                    http.get(f"/runs/get?run_id={run}").status_code,
                    http.post("/runs/log-metric", json=point | {"step": step}).status_code,
                )
                for step in range(30)
            }

    before = fast.answered_fast()
    with ThreadPoolExecutor() as threads:
        for user, statuses in zip(USERS * 3, threads.map(ask, USERS * 3), strict=True):
            assert statuses == {expected[levels[user]]}, user
    answered = sum(code == 200 for user in USERS for code in expected[levels[user]])
    assert fast.answered_fast() - before > 30 * 3 * answered * 0.8  # MLflow is asked first
    logged = {key for (key,) in fast.query("SELECT key FROM metrics") if key in USERS}
    assert logged == {user for user in USERS if expected[levels[user]][1] == 200}
