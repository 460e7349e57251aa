"""What each kind of token opens, on every route that the server has; what it learns of the rest."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from harness.serving import ModelServer
from model_server.front.management import AT_ONCE
from model_server.front.token_store import Store
from model_server.server import application
from model_server.settings import load
from tests.integration.serving.manager import Manager
from tests.integration.serving.models import act

WRITTEN = "über token with spaces"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
UNKNOWN = {"none": 401, "wrong": 401, "expired": 401}
KINDS = ("metrics", "mine", "mine, manages", "all", "all, manages")
MODEL = {
    "mine": (403, 200, 200, 200, 200),
    "hidden": (403, 403, 403, 200, 200),
    "nobody": (403, 403, 403, 404, 404),
}
MANAGED = {
    "mine": (403, 403, 200, 403, 200),
    "hidden": (403, 403, 403, 403, 200),
    "nobody": (403, 403, 403, 403, 404),
}
HEALTH, LISTS = {"": (200,) * 5}, {"": MODEL["mine"]}
NOT_READY = {"": (503,) * 5}
V2_MODEL, V2_VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
TABLE = {
    "GET /livez": HEALTH,
    "GET /health": HEALTH,
    "GET /ping": HEALTH,
    "GET /version": HEALTH,
    "GET /v2/health/live": HEALTH,
    "GET /readyz": NOT_READY,
    "GET /v2/health/ready": NOT_READY,
    "GET /metrics": {"": (200, 403, 403, 403, 403)},
    "GET /models": LISTS,
    "GET /openapi.json": LISTS,
    "GET /v2": LISTS,
    "POST /v2/repository/index": LISTS,
    "POST /invocations": {"": MODEL["hidden"]},
    "GET /models/{name}": MODEL,
    "POST /models/{name}/invocations": MODEL,
    f"GET {V2_MODEL}": MODEL,
    f"GET {V2_MODEL}/ready": MODEL,
    f"POST {V2_MODEL}/infer": MODEL,
    f"GET {V2_VERSION}": MODEL,
    f"GET {V2_VERSION}/ready": MODEL,
    f"POST {V2_VERSION}/infer": MODEL,
    # In this order, so that each leaves the server as it was.
    "PUT /models/{name}": MANAGED,
    "DELETE /models/{name}": MANAGED,
    "POST /v2/repository/models/{name}/unload": MANAGED,
    "POST /v2/repository/models/{name}/load": MANAGED,
}
"""Answers to a token of each of KINDS, by route and name. One of UNKNOWN gets a 401, but for
health. `hidden` is the default model; `absent`, which should be served as well, is not there."""
V2_BODY = {"inputs": [{"name": "act", "shape": [1], "datatype": "BYTES", "data": ["answer"]}]}


@dataclass
class Scoped:
    server: ModelServer
    file: Path
    store: Store
    tokens: dict[str, str]

    def ask(self, route: str, kind: str, name: str = "") -> httpx.Response:
        method, _, path = route.partition(" ")
        path = path.replace("{name}", name).replace("{version}", "1")
        return self.server.http.request(
            method, path, content=content(route, name), headers=self.headers(kind)
        )

    def headers(self, kind: str) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if token := self.tokens.get(kind):
            headers["authorization"] = f"Bearer {token}"
        return headers

    def manager(self, kind: str) -> Manager:
        return Manager(self.server, self.tokens[kind])

    def answer(self, name: str, kind: str) -> object:
        answer = self.server.http.post(
            f"/models/{name}/invocations", json=act("answer"), headers=self.headers(kind)
        )
        return answer.json()["predictions"][0] if answer.status_code == 200 else answer.status_code

    def add(self, kind: str, **scopes: object) -> None:
        """A further token, once the server knows it."""
        self.tokens[kind] = self.store.add(kind.replace(", ", "-"), **scopes)
        self.server.wait_for(
            lambda: self.server.http.get("/v2", headers=self.headers(kind)).status_code == 200,
            5,
            "the token to be known",
        )


def content(route: str, name: str) -> bytes | None:
    if route.startswith("PUT"):
        return json.dumps({"uri": f"models:/{name}/1"}).encode()
    if route.endswith("/infer"):
        return json.dumps(V2_BODY).encode()
    if route.endswith("/invocations"):
        return json.dumps(act("answer")).encode()
    return b"{}" if route.startswith("POST") else None


@pytest.fixture(scope="module")
def scoped(local_tracking, shelf, models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scoped")
    for name, number in (("mine", 1), ("hidden", 2)):
        shelf.promote(name, shelf.publish(name, models.chameleon_with(answer=number)), "scoped")
    file = folder / "tokens.json"
    store = Store(file)
    mine = frozenset({"mine"})
    tokens = {
        "wrong": "mst_wrong",
        "metrics": store.add("metrics", metrics=True),
        "mine": store.add("mine", models=mine),
        "mine, manages": store.add("mine-manages", models=mine, manage=True),
        "all": store.add("all", models=None),
        "all, manages": store.add("all-manages", models=None, manage=True),
        "older": store.add("older", models=frozenset({"older"})),
        "expired": store.add(
            "expired", models=None, manage=True, metrics=True, expires=time.time() - 1
        ),
    }
    (folder / "written").write_text(WRITTEN)
    # It is from before tokens counted for the models that are deployed.
    (folder / "cache").mkdir()
    (folder / "cache" / "deployments.json").write_text('{"deployed":{"older":"models:/hidden/1"}}')
    server = ModelServer(
        folder,
        MLFLOW_TRACKING_URI=local_tracking.uri,
        SERVING_MODELS="mine@scoped,hidden@scoped,absent@scoped",
        SERVING_DEFAULT="hidden",
        SERVING_TOKENS_REQUIRED=True,
        SERVING_TOKEN_STORE=file,
        SERVING_TOKEN_FILE=folder / "written",
    )
    running = Scoped(server, file, store, tokens)
    server.process.start()
    for name in ("mine", "hidden", "older"):
        server.wait_for(lambda name=name: running.answer(name, "all") in (1, 2), 90, name)
    yield running
    server.stop()


def test_every_route_has_its_row():
    table = application(load(["--models", "a=./a"]), None, None, None).table
    routes = [
        f"{method} {route.pattern}"
        for route in table
        for method in route.methods
        if method != "HEAD"
    ]
    assert sorted(routes) == sorted(TABLE)


@pytest.mark.parametrize("kind", [*UNKNOWN, *KINDS])
def test_each_token_opens_what_it_names_and_nothing_else(scoped, kind):
    answered, expected = {}, {}
    for route, rows in TABLE.items():
        for name, row in rows.items():
            health = rows in (HEALTH, NOT_READY)
            status = row[KINDS.index(kind)] if kind in KINDS else row[0] if health else 401
            expected[route, name] = status
            answered[route, name] = scoped.ask(route, kind, name).status_code
            if route.startswith("GET"):
                expected["HEAD", route, name] = status
                head = scoped.ask(route.replace("GET", "HEAD"), kind, name)
                answered["HEAD", route, name] = head.status_code
            if route.startswith("PUT") and answered[route, name] == 202:
                # Deployed is what is served: there is nothing to wait for but its word.
                answered[route, name] = 200
    assert answered == expected


@pytest.mark.parametrize("kind", KINDS)
def test_other_methods_tell_all_tokens_the_same(scoped, kind):
    patterns = {route.partition(" ")[2] for route in TABLE}
    for method in METHODS:
        for pattern in patterns:
            if f"{method.replace('HEAD', 'GET')} {pattern}" in TABLE:
                continue
            for name in ("mine", "hidden", "nobody"):
                answer = scoped.ask(f"{method} {pattern}", kind, name)
                body = content(f"{method} {pattern}", name) and kind == "metrics"
                expected = 403 if body else 204 if method == "OPTIONS" else 405
                assert answer.status_code == expected, (method, pattern)


@pytest.mark.parametrize("kind", ["metrics", "mine", "mine, manages"])
def test_a_refusal_is_the_same_whether_there_is_such_a_model_or_not(scoped, kind):
    def told(route: str, name: str) -> tuple:
        answer = scoped.ask(route, kind, name)
        headers = {key: value for key, value in answer.headers.items() if key != "date"}
        del headers["x-request-id"]
        headers.pop("content-length")  # goes by the name's
        return answer.status_code, headers, answer.text.replace(name, "NAME")

    for route, rows in TABLE.items():
        if rows in (MODEL, MANAGED):
            assert told(route, "hidden") == told(route, "nobody"), route


@pytest.mark.parametrize("kind", ["none", "metrics", "mine", "mine, manages"])
def test_what_it_does_not_open_is_named_nowhere(scoped, kind):
    for route, rows in TABLE.items():
        if rows in (HEALTH, NOT_READY, LISTS) or route == "POST /invocations":
            text = scoped.ask(route, kind).text
            assert not re.search("hidden|absent", text), (route, text)
    assert "absent" in scoped.ask("GET /readyz", "all").text
    assert "absent" in scoped.ask("GET /v2/health/ready", "all").text
    assert "hidden" in scoped.ask("GET /openapi.json", "all").text


@pytest.mark.parametrize("reference", ["hidden@scoped", "hidden/1", "hid%64en/1", "hidden/77"])
def test_deploying_takes_the_scope_of_the_model_that_the_uri_names(scoped, reference):
    manager = scoped.manager("mine, manages")
    answer = manager.deploy("mine", f"models:/{reference}")
    assert answer.status_code == 403
    no_such = manager.deploy("mine", f"models:/{reference}".replace("hid%64en", "nobody"))
    assert no_such.status_code == 403
    for other in ("hidden", "nobody", "mine@x", "mine ", "Mine"):
        assert manager.deploy(other, "models:/mine/1").status_code == 403, other
    assert scoped.answer("mine", "mine") == 1


def test_what_was_deployed_stays_when_its_token_goes(scoped, shelf, models):
    scoped.add("both, manages", models=frozenset({"mine", "hidden"}), manage=True)
    manager = scoped.manager("both, manages")
    assert manager.deploy("mine", "models:/hidden@scoped").status_code == 200
    scoped.store.remove("both-manages")
    assert scoped.answer("mine", "mine") == 2
    (line,) = [one for one in scoped.server.log_lines("deployed") if one["token"] == "both-manages"]
    assert (line["model"], line["uri"]) == ("mine", "models:/hidden@scoped")
    # What an alias moves to is the same model's.
    shelf.promote("hidden", shelf.publish("hidden", models.chameleon_with(answer=3)), "scoped")
    scoped.server.wait_for(lambda: scoped.answer("mine", "mine") == 3, 20, "the next version")
    assert scoped.manager("mine, manages").undo("mine").status_code == 200
    scoped.server.wait_for(lambda: scoped.answer("mine", "mine") == 1, 20, "its own again")


def test_waiting_of_one_token_leaves_the_others_room(scoped, shelf, models):
    def deployed(uri: str) -> list[dict]:
        return [line for line in scoped.server.log_lines("deployed") if line["uri"] == uri]

    hangs = shelf.publish("mine", models.chameleon_with(fails="load-hang"))
    managers = [scoped.manager(kind) for kind in ("mine, manages", "all, manages")]
    with ThreadPoolExecutor(AT_ONCE + 1) as threads:
        waiting = [
            threads.submit(managers[0].deploy, "mine", f"models:/mine/{hangs}", 600)
            for _ in range(AT_ONCE + 1)
        ]
        first = next(as_completed(waiting)).result()
        assert (first.status_code, first.headers["retry-after"]) == (429, "1")
        scoped.server.wait_for(
            lambda: len(deployed(f"models:/mine/{hangs}")) == AT_ONCE, 30, "the others to wait"
        )
        assert managers[0].undo("mine").status_code == 429
        assert scoped.answer("mine", "mine") == 1
        assert managers[1].undo("mine").status_code == 200
        assert all(one.result().status_code in (200, 202, 429) for one in waiting)
    assert managers[0].undo("mine").status_code == 404


def test_a_deployment_from_before_is_asked_by_its_served_name(scoped):
    assert scoped.answer("older", "older") in (2, 3)
    assert scoped.answer("hidden", "older") == 403
    assert scoped.answer("older", "mine") == 403


def test_the_default_is_the_only_one_that_a_token_opens(scoped, local_tracking, tmp_path):
    server = ModelServer(
        tmp_path,
        MLFLOW_TRACKING_URI=local_tracking.uri,
        SERVING_MODELS="mine@scoped,hidden@scoped",
        SERVING_TOKENS_REQUIRED=True,
        SERVING_TOKEN_STORE=scoped.file,
    ).start()
    other = Scoped(server, scoped.file, scoped.store, scoped.tokens)
    answer = other.ask("POST /invocations", "mine")
    assert (answer.status_code, answer.headers["x-model-name"]) == (200, "mine")
    document = other.ask("GET /openapi.json", "mine").json()
    assert "act" in str(document["paths"]["/invocations"])
    assert other.ask("POST /invocations", "all").status_code == 404
    assert "hidden" not in other.ask("POST /invocations", "older").text
    server.stop()


def written(*values: str | bytes, **headers: str) -> list[tuple[bytes, bytes]]:
    lines = [(b"authorization", v if isinstance(v, bytes) else v.encode()) for v in values]
    return lines + [(key.encode(), value.encode()) for key, value in headers.items()]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        (written("Bearer TOKEN"), "", 200),
        (written("bearer TOKEN"), "", 200),
        (written("BEARER   TOKEN"), "", 200),
        (written(f"Bearer {WRITTEN}"), "", 200),
        (written(f"Bearer {WRITTEN}".encode("latin-1")), "", 401),
        (written(f"Bearer {WRITTEN.replace(' ', '  ')}"), "", 401),
        (written("Bearer\tTOKEN"), "", 401),
        (written("BearerTOKEN"), "", 401),
        (written("TOKEN"), "", 401),
        (written("Bearer"), "", 401),
        (written(""), "", 401),
        (written("Token TOKEN"), "", 401),
        (written("Basic TOKEN"), "", 401),
        (written('Bearer "TOKEN"'), "", 401),
        (written("Bearer TOKENTOKEN"), "", 401),
        (written("Bearer TOKEN, Bearer TOKEN"), "", 401),
        (written("Bearer TOKEN", "Bearer TOKEN"), "", 401),
        (written("Bearer TOKEN", "Bearer wrong"), "", 401),
        (written("Bearer wrong", "Bearer TOKEN"), "", 401),
        (written("Bearer \xff\xfe"), "", 401),
        (written("Bearer " + "x" * 60_000), "", 401),
        (written("Bearer " + "x" * 70_000), "", 431),
        (written(cookie="authorization=Bearer TOKEN"), "", 401),
        (written(**{"x-api-key": "TOKEN", "proxy-authorization": "Bearer TOKEN"}), "", 401),
        ([], "?token=TOKEN", 401),
        ([], "?access_token=TOKEN&authorization=Bearer%20TOKEN", 401),
    ],
)
def test_a_token_comes_in_one_header_alone(scoped, headers, query, status):
    token = scoped.tokens["all"]
    sent = [(name, value.replace(b"TOKEN", token.encode())) for name, value in headers]
    with httpx.Client(base_url=scoped.server.url) as http:
        answer = http.get(f"/models{query.replace('TOKEN', token)}", headers=sent)
    assert answer.status_code == status
    assert answer.status_code != 401 or answer.headers["www-authenticate"] == "Bearer"
    assert token not in answer.text
    assert token not in scoped.server.process.text()
