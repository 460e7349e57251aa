"""Deploy, load and unload: only with a token, and over restarts."""

from urllib.parse import quote

import httpx
import pytest

from harness.serving import ModelServer, assert_error
from tests.integration.serving.manager import TOKEN, Manager
from tests.integration.serving.models import act

NEXT_TOKEN = "test-token-9876543210"
DENIED = (403, "PERMISSION_DENIED")
UNAUTHENTICATED = (401, "UNAUTHENTICATED")
BAD = (400, "INVALID_PARAMETER_VALUE")
UNKNOWN = (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("token") / "token"
    write(file, TOKEN)
    return file


@pytest.fixture(scope="module")
def managed(local_tracking, tmp_path_factory, token_file):
    """Follows an alias that no other test sets."""
    running = ModelServer(
        tmp_path_factory.mktemp("managed"),
        MLFLOW_TRACKING_URI=local_tracking.uri,
        SERVING_ALIAS="managed",
        SERVING_TOKEN_FILE=token_file,
    ).start()
    yield running
    running.stop()


@pytest.fixture
def manager(managed):
    return Manager(managed)


def write(file, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)


def answer_of(server: ModelServer, name: str):
    answer = server.ask(act("answer"), quote(name, safe=""))
    return answer.json()["predictions"][0] if answer.status_code == 200 else answer.status_code


def publish(shelf, models, name: str, *answers: object) -> list[str]:
    return [shelf.publish(name, models.chameleon_with(answer=answer)) for answer in answers]


def assert_refused(answer: httpx.Response, status: int, error_code: str) -> str:
    """V2's routes have V2's `error` as well."""
    content = answer.json()
    if "/v2/" in str(answer.url):
        assert content["error"] == content["message"]
    assert (answer.status_code, content["error_code"]) == (status, error_code), content
    return content["message"]


def every_route(manager: Manager) -> list[httpx.Response]:
    return [
        manager.deploy("any", "models:/any@managed"),
        manager.undo("any"),
        manager.load("any"),
        manager.unload("any"),
    ]


def test_without_a_token_file_nobody_may(server):
    for answer in every_route(Manager(server)):
        assert "SERVING_TOKEN_FILE" in assert_refused(answer, *DENIED)


def test_wrong_token_may_nothing(managed):
    for token in (None, "wrong", TOKEN + "0"):
        for answer in every_route(Manager(managed, token)):
            assert_refused(answer, *UNAUTHENTICATED)
            assert answer.headers["www-authenticate"] == "Bearer"
    managed.wait_for(lambda: managed.log_lines("wrong tokens"), 10, "the line on wrong tokens")
    assert TOKEN not in managed.process.text()


def test_foreign_page_may_nothing(managed):
    headers = {**Manager(managed).headers, "origin": "http://evil.example.org"}
    answer = managed.http.put("/models/any", json={"uri": "models:/any/1"}, headers=headers)
    assert_error(answer, *DENIED)


def test_tokens_change_without_a_restart(managed, manager, token_file):
    write(token_file, f"# old, then new\n{TOKEN}\n{NEXT_TOKEN}\n")
    try:
        assert manager.undo("any").status_code == 404
        assert Manager(managed, NEXT_TOKEN).undo("any").status_code == 404
        write(token_file, NEXT_TOKEN)
        assert manager.undo("any").status_code == 401
        token_file.rename(token_file.with_name("away"))
        assert Manager(managed, NEXT_TOKEN).undo("any").status_code == 403
    finally:
        write(token_file, TOKEN)
    assert manager.undo("any").status_code == 404


def test_deployed_alias_is_followed_until_undone(managed, manager, shelf, models):
    first, second = publish(shelf, models, "apple", 1, 2)
    shelf.promote("apple", first, "trial")
    name = "odd/näme"
    answer = manager.deploy(name, "models:/apple@trial")
    entry = answer.json()
    assert (answer.status_code, entry["state"], entry["version"]) == (200, "serving", first)
    assert entry["because"] == "deployed through the API: models:/apple@trial"
    assert answer_of(managed, name) == 1
    shelf.promote("apple", second, "trial")
    managed.wait_for(lambda: answer_of(managed, name) == 2, 20, "the second version")
    assert manager.deploy(name, f"models:/apple/{first}", wait=None).status_code == 202
    managed.wait_for(lambda: answer_of(managed, name) == 1, 20, "the version by number")
    assert manager.undo(name).status_code == 200
    managed.wait_for(lambda: answer_of(managed, name) == 404, 20, "its end")
    assert_error(manager.undo(name), *UNKNOWN)


def test_deployment_goes_before_the_alias(managed, manager, shelf, models):
    first, second = publish(shelf, models, "pear", 1, 2)
    shelf.promote("pear", first, "managed")
    managed.wait_for(lambda: answer_of(managed, "pear") == 1, 20, "the alias's version")
    assert manager.deploy("pear", f"models:/pear/{second}").json()["version"] == second
    assert answer_of(managed, "pear") == 2
    assert manager.undo("pear").status_code == 200
    managed.wait_for(lambda: answer_of(managed, "pear") == 1, 20, "the alias's version again")
    assert managed.model("pear")["because"] == "alias managed"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"uri": 1}',
        b'{"uri": "models:/a/1", "more": 1}',
        b'{"uri": "s3://bucket/model"}',
        b'{"uri": "/etc"}',
        b'{"uri": "models:/m-0123"}',
        b'{"uri": "models:/wine/Production"}',
        b"\xff",
    ],
)
def test_only_registered_versions_can_be_deployed(managed, manager, content):
    answer = managed.http.put("/models/bad", content=content, headers=manager.headers)
    assert_error(answer, *BAD)
    assert managed.model("bad") == {}


def test_what_the_registry_does_not_have_changes_nothing(managed, manager, shelf, models):
    publish(shelf, models, "fig", 1)
    for uri in ("models:/nobody@x", "models:/nobody/1", "models:/fig@x", "models:/fig/77"):
        assert_error(manager.deploy("fig", uri), *UNKNOWN)
    assert managed.model("fig") == {}
    for answer in (manager.load("nobody"), manager.unload("nobody")):
        assert_refused(answer, *UNKNOWN)


def test_deployed_version_that_does_not_work(managed, manager, shelf, models):
    good = shelf.publish("plum", models.chameleon_with(answer=1))
    bad = shelf.publish("plum", models.chameleon_with(fails="load"))
    message = assert_error(manager.deploy("plum", f"models:/plum/{bad}"), 409, "RESOURCE_CONFLICT")
    assert "weights are missing" in message
    message = assert_refused(manager.load("plum"), 409, "RESOURCE_CONFLICT")
    assert "weights are missing" in message
    assert manager.deploy("plum", f"models:/plum/{good}").status_code == 200
    assert_error(manager.deploy("plum", f"models:/plum/{bad}"), 409)
    assert answer_of(managed, "plum") == 1
    assert manager.undo("plum").status_code == 200


def test_unload_is_a_pin_until_load(managed, manager, shelf, models):
    first, second = publish(shelf, models, "quince", 1, 2)
    shelf.promote("quince", first, "managed")
    managed.wait_for(lambda: answer_of(managed, "quince") == 1, 20, "the first version")
    assert manager.unload("quince").status_code == 200
    entry = managed.model("quince")
    assert (entry["state"], entry["version"]) == ("unloaded", None)
    assert entry["because"] == "unloaded through the API"
    assert_error(managed.ask(act("answer"), "quince"), 503)
    shelf.promote("quince", second, "managed")
    assert manager.load("quince", parameters={"config": "{}"}).status_code == 400
    deep = b'{"parameters": {"unload_dependents": %b}}' % (b"[" * 100_000 + b"]" * 100_000)
    path = "/v2/repository/models/quince/load"
    assert managed.http.post(path, content=deep, headers=manager.headers).status_code == 400
    assert managed.model("quince")["state"] == "unloaded"
    assert manager.load("quince").status_code == 200
    assert answer_of(managed, "quince") == 2
    assert manager.load("quince", parameters={"unload_dependents": False}).status_code == 200


def test_load_takes_changed_tags(managed, manager, shelf, models):
    (version,) = publish(shelf, models, "grape", 1)
    shelf.promote("grape", version, "managed")
    managed.wait_for(lambda: answer_of(managed, "grape") == 1, 20, "the version")
    workers = managed.model("grape")["workers"]
    assert manager.load("grape").status_code == 200
    assert managed.model("grape")["workers"] == workers
    shelf.client.set_model_version_tag("grape", version, "serving.replicas", "2")
    assert manager.load("grape").status_code == 200
    assert len(managed.model("grape")["workers"]) == 2


def test_orders_hold_over_restarts_even_without_the_registry(
    local_tracking, shelf, models, tmp_path, token_file
):
    (version,) = publish(shelf, models, "cherry", 1)
    for name in ("cherry", "sloe"):
        if name == "sloe":
            publish(shelf, models, "sloe", 2)
        shelf.promote(name, version, "orchard")
    settings = {
        "MLFLOW_TRACKING_URI": local_tracking.uri,
        "SERVING_ALIAS": "orchard",
        "SERVING_TOKEN_FILE": token_file,
    }
    server = ModelServer(tmp_path, **settings).start()
    manager = Manager(server)
    server.wait_for(lambda: answer_of(server, "sloe") == 2, 60, "the alias's version")
    assert manager.deploy("deployed", f"models:/cherry/{version}").status_code == 200
    assert manager.unload("sloe").status_code == 200
    server.wait_for(lambda: "deployed" in record(tmp_path), 10, "the record")
    server.process.kill()
    local_tracking.stop()
    try:
        server.process.start()
        server.wait_for(lambda: answer_of(server, "deployed") == 1, 90, "the deployment")
        assert server.model("sloe")["state"] == "unloaded"
        assert_error(manager.deploy("more", "models:/cherry/1"), 503, "TEMPORARILY_UNAVAILABLE")
        assert manager.unload("deployed").status_code == 200
        assert manager.load("deployed").status_code == 200
        assert answer_of(server, "deployed") == 1
    finally:
        local_tracking.start()
    server.wait_for(lambda: server.http.get("/models").json()["registry"]["reachable"], 30, "it")
    assert server.model("sloe")["state"] == "unloaded"
    assert manager.load("sloe").status_code == 200
    assert answer_of(server, "sloe") == 2
    server.stop()


def record(folder) -> str:
    file = folder / "cache" / "index.json"
    return file.read_text() if file.exists() else ""
