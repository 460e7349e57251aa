"""What logins and TLS cost."""

from __future__ import annotations

import itertools
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

FULL = os.environ.get("FULL") == "1"


@pytest.fixture
def plain(new_stack):
    """A stack with neither TLS nor logins."""
    stack = new_stack()
    stack.up()
    yield stack
    stack.down("--volumes", "--timeout", "5")


def test_fifty_users_log_at_once_at_a_good_part_of_the_rate_without_logins(
    team, plain, record_property
):
    """Each with a login and a run of their own, alternating with the plain stack, once the workers
    have checked the passwords. Without the fast path, hardly anything would be left."""
    least = 1 / 3 if FULL else 1 / 5  # a few seconds on a busy machine tell less
    api = "/api/2.0/mlflow"
    count, seconds, rounds = 50, 10.0 if FULL else 3.0, 3 if FULL else 2
    users = {f"user{number}": os.urandom(12).hex() for number in range(count)}
    with team.client(auth=("admin", team.admin)) as http:
        for name, password in users.items():
            login = {"username": name, "password": password}
            http.post(f"{team.tracking}{api}/users/create", json=login).raise_for_status()

    def client(url: str, login: tuple[str, str] | None) -> tuple[httpx.Client, str]:
        http = team.client(auth=login, base_url=url)
        name = {"name": f"load-{uuid.uuid4()}"}
        experiment = http.post(f"{api}/experiments/create", json=name).json()["experiment_id"]
        run = http.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()
        return http, run["run"]["info"]["run_id"]

    def clients(url: str, logins: list) -> list[tuple[httpx.Client, str]]:
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(lambda login: client(url, login), logins))

    # In this order: a login is checked again a minute after it was.
    without = clients(plain.tracking, [None] * count)
    sides = {"with": clients(team.tracking, list(users.items())), "without": without}
    for those in sides.values():
        _log_for(seconds, those)
    done = {"with": [], "without": []}
    for _ in range(rounds):
        for side, those in sides.items():
            done[side].append(sum(_log_for(seconds, those)))
    for those in sides.values():
        for http, _ in those:
            http.close()
    ratio = sum(done["with"]) / sum(done["without"])
    record_property("team_logging_ratio", round(ratio, 2))
    print(f"{count} users at once: {ratio:.2f} of the rate without TLS and logins ({done})")
    assert ratio >= least


def _log_for(seconds: float, clients: list[tuple[httpx.Client, str]]) -> list[int]:
    """How many metrics each client has logged."""
    end = time.monotonic() + seconds
    together = threading.Barrier(len(clients))

    def log(http: httpx.Client, run: str) -> int:
        together.wait()
        for step in itertools.count():
            if time.monotonic() > end:
                return step
            metric = {"run_id": run, "key": "loss", "value": 1.0, "timestamp": 1, "step": step}
            http.post("/api/2.0/mlflow/runs/log-metric", json=metric).raise_for_status()
        return 0

    with ThreadPoolExecutor(len(clients)) as threads:
        return list(threads.map(lambda one: log(*one), clients))
