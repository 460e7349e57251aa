"""Nobody without a login or a token gets anything, on any route that the services list."""

from __future__ import annotations

import itertools
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.team import basic, bearer
from harness.waiting import wait_until

FULL = os.environ.get("FULL") == "1"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
MARK = "ROUTES "
# What tracking answers to everybody: health, what its pages are made of, and how it is set up.
PUBLIC = re.compile(r"/(health|readyz|static|favicon\.ico)|.*/server-info$")
PROBES = {
    "/livez",
    "/readyz",
    "/health",
    "/ping",
    "/version",
    "/v2/health/live",
    "/v2/health/ready",
}

# Runs in tracking's container.
LIST_ROUTES = """
import json
from tracking_server import app, settings, variables
loaded = settings.load()
variables.apply(loaded)
served = app.build(loaded)
from mlflow.server import app as flask
paths = {rule.rule for rule in flask.url_map.iter_rules()}
def walk(routes):
    for route in routes:
        if type(route).__name__ != "Mount":
            paths.add(getattr(route, "path", "/"))
        for inner in getattr(route, "routes", None) or ():
            walk([inner])
walk(served.routes)
paths |= set(served.openapi()["paths"])
print("ROUTES " + json.dumps(sorted(paths)))
"""


def filled(path: str) -> str:
    """The path with something in place of its variables."""
    return re.sub(r"<int:[^>]+>", "1", re.sub(r"\{[^}]+\}|<(?!int:)[^>]+>", "x", path))


def statuses(http: httpx.Client, url: str, paths: list[str], **headers: str) -> dict:
    """Statuses of every path by every method, asked at once."""
    asked = list(itertools.product(METHODS, paths))

    def ask(one: tuple[str, str]) -> int:
        # As it stands: httpx would mend what it takes for mistakes.
        return http.request(one[0], f"{url}{filled(one[1])}", headers=headers).status_code

    with ThreadPoolExecutor(8) as threads:
        return dict(zip(asked, threads.map(ask, asked), strict=True))


@pytest.mark.parametrize("way", ["gateway", "direct"])
def test_tracking_answers_nobody_without_a_login(team, way, routes_of_tracking):
    assert len(routes_of_tracking) > 150
    with team.client() as http:
        url = team.tracking if way == "gateway" else team.container_url("tracking", 5000)
        host = {} if way == "gateway" else {"host": "tracking:5000"}
        wrong = basic("mallory", "wrong")
        tried = [{}]
        if FULL or way == "direct":
            tried += [bearer("anything"), {"authorization": "Basic !"}]
        if way == "direct":  # where it can be said who is to be shut out
            tried += [
                {"authorization": wrong, "x-forwarded-for": "192.0.2.1"},
                {"x-mlflow-authorization": wrong, "x-forwarded-for": "192.0.2.2"},
            ]
        for headers in tried:
            answers = statuses(http, url, routes_of_tracking, **host, **headers)
            open_to_all = {
                one: status
                for one, status in answers.items()
                if status not in (401, 403, 429) and not PUBLIC.match(one[1])
            }
            assert open_to_all == {}


@pytest.fixture(scope="module")
def routes_of_tracking(team):
    said = team.stack.execute("tracking", "python", "-", stdin=LIST_ROUTES)
    (line,) = [line for line in said.splitlines() if line.startswith(MARK)]
    return json.loads(line.removeprefix(MARK))


@pytest.mark.parametrize("way", ["gateway", "direct"])
def test_serving_answers_nobody_without_a_token(team, way):
    manager = team.tokens("add", f"all-{way}", "--models", "*", "--manage", "--metrics")
    with team.client() as http:
        url = team.serving if way == "gateway" else team.container_url("serving", 8080)
        host = {} if way == "gateway" else {"host": "serving:8080"}
        wait_until(
            lambda: http.get(f"{url}/models", headers=host | bearer(manager)).status_code == 200,
            5,
            "the token is known",
        )
        known = http.get(f"{url}/openapi.json", headers=host | bearer(manager)).json()["paths"]
        assert {"/models/{name}", "/v2/repository/models/{name}/load", "/metrics"} <= known.keys()
        paths = [*known, "/", "/nowhere", "/models/x/invocations"]
        for headers in (
            host,
            host | bearer("mst_wrong"),
            host | {"authorization": "Basic eDp5"},
        ):
            answers = statuses(http, url, paths, **headers)
            open_to_all = {
                one: status
                for one, status in answers.items()
                if status not in (401, 403) and one[1] not in PROBES
            }
            assert open_to_all == {}
        for probe in PROBES:
            assert http.get(f"{url}{probe}", headers=host).status_code in (200, 404), probe


def test_a_token_of_one_scope_opens_nothing_else(team):
    """Repeats `tests/integration/serving/test_scopes.py`, which has every kind of token, with those
    that the stack makes, through the gateway."""
    every = team.tokens("add", "every", "--models", "*", "--manage", "--metrics")
    beer = team.tokens("add", "brewer", "--models", "beer", "--manage")
    with team.client() as http:
        metrics = bearer(team.metrics_token)

        def ask(method: str, path: str, headers: dict, **more: object) -> int:
            return http.request(method, team.serving + path, headers=headers, **more).status_code

        wait_until(lambda: ask("GET", "/v2", bearer(beer)) == 200, 5, "the tokens are known")
        known = http.get(f"{team.serving}/openapi.json", headers=bearer(every)).json()["paths"]
        answers = statuses(http, team.serving, list(known), **metrics)
        opened = {one for one, status in answers.items() if status not in (403, 405)}
        reading = {(method, path) for path in (*PROBES, "/metrics") for method in ("GET", "HEAD")}
        assert opened == reading | {("OPTIONS", path) for path in known}
        uri = {"uri": "models:/wine@champion"}
        assert ask("PUT", "/models/beer", bearer(beer), json=uri) == 403
        assert ask("PUT", "/models/beer", bearer(beer), json={"uri": "models:/beer/1"}) == 404
        assert ask("PUT", "/models/wine", bearer(beer), json={"uri": "models:/beer/1"}) == 403
    for name in ("every", "brewer"):
        team.tokens("remove", name)
