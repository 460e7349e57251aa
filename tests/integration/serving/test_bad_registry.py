"""Whatever the registry answers, what is served stays, and a restart brings it back."""

import asyncio
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from harness.serving import ModelServer
from model_server.following import registry as module
from model_server.following.registry import Registry
from model_server.wanted import parse_wanted
from tests.integration.serving.models import act

MOODS = {
    "fails": (500, b"<html>oops</html>"),
    "is no tracking server": (200, b"<html>please log in</html>"),
    "answers other JSON": (200, b'{"status": "fine"}'),
    "answers a list": (200, b"[]"),
    "has no such path": (404, b"{}"),
    "denies": (401, b"{}"),
}
HANGS = "hangs"
MODELS = 300 if os.environ.get("FULL") == "1" else 30


class Registrar(ThreadingHTTPServer):
    """Stands in front of a tracking server, in one of several moods."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.http = httpx.Client(base_url=behind, timeout=60)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.mood: str | None = None
        self.refused: str | None = None
        """Part of the addresses that get a 400."""
        self.woken = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.server.mood == HANGS:
            self.server.woken.wait()
            return
        if self.server.refused and self.server.refused in self.path:
            status, body = 400, b"{}"
        elif self.server.mood:
            status, body = MOODS[self.server.mood]
        else:
            answer = self.server.http.get(self.path)
            status, body = answer.status_code, answer.content
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keeps it out of the tests' output."""


@pytest.fixture(scope="module")
def registrar(local_tracking):
    running = Registrar(local_tracking.uri)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.woken.set()
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(scope="module")
def server(registrar, shelf, models, tmp_path_factory):
    shelf.promote("steady", shelf.publish("steady", models.chameleon_with(answer=1)))
    running = ModelServer(
        tmp_path_factory.mktemp("steady"),
        MLFLOW_TRACKING_URI=registrar.url,
        SERVING_MODELS="steady",
        SERVING_POLL=0.1,
    ).start()
    yield running
    running.stop()


def registry_of(server: ModelServer) -> dict:
    return server.http.get("/models").json()["registry"]


def answer_of(server: ModelServer) -> object:
    return server.ask(act("answer"), "steady").json().get("predictions")


@pytest.mark.parametrize("mood", MOODS)
def test_what_is_served_stays(registrar, server, mood):
    registrar.mood = mood
    try:
        server.wait_for(lambda: not registry_of(server)["reachable"], 10, "the problem")
        assert registry_of(server)["problem"]
        assert answer_of(server) == [1]
        assert server.model("steady")["state"] == "serving"
    finally:
        registrar.mood = None
    server.wait_for(lambda: registry_of(server)["reachable"], 10, "the registry again")


def test_name_that_the_registry_refuses_holds_up_no_other(registrar, shelf, models):
    shelf.promote("plain", shelf.publish("plain", models.wine))
    shelf.promote("od?d", shelf.publish("od?d", models.wine))
    registrar.refused = "name=od%3Fd"

    async def ask():
        registry = Registry(registrar.url, {}, "champion")
        try:
            return await registry.desired(parse_wanted("plain,od?d", "champion"), carriers=False)
        finally:
            await registry.close()

    try:
        desired = asyncio.run(ask())
    finally:
        registrar.refused = None
    assert desired["plain"].version == "1"
    assert "does not take its name, 'od?d'" in desired["od?d"].problem


@pytest.mark.parametrize("mood", ["is no tracking server", HANGS])
def test_start_serves_from_the_cache(registrar, server, mood):
    """The server says until then that it is starting: a 404 would tell clients to give up."""
    record = Path(server.process.environment["SERVING_CACHE"]) / "index.json"
    server.wait_for(lambda: "steady" in record.read_text(), 10, "the record of what is served")
    server.process.kill()
    registrar.woken.clear()
    registrar.mood = mood
    statuses = set()

    def is_served() -> bool:
        statuses.add(server.ask(act("answer"), "steady").status_code)
        return answer_of(server) == [1]

    try:
        server.process.start()
        server.wait_for(is_served, 60, "an answer from the cache")
        assert statuses <= {200, 503}
        assert not registry_of(server)["reachable"]
    finally:
        registrar.mood = None
        registrar.woken.set()


def test_many_models_come_page_by_page(local_tracking, shelf, monkeypatch):
    names = [f"page-{number:03}" for number in range(MODELS)]
    run = shelf.client.create_run(shelf.client.create_experiment("pages"))
    for name in names:
        shelf.client.create_registered_model(name)
        version = shelf.client.create_model_version(
            name, f"{run.info.artifact_uri}/model", run.info.run_id, tags={"of": name}
        )
        shelf.promote(name, version.version, "paged")

    async def look() -> module.Desired:
        registry = Registry(local_tracking.uri, {}, "paged")
        try:
            wanted = parse_wanted("page-003/1,nobody", "paged")
            await registry.desired(wanted, carriers=True)
            since = time.monotonic()
            again = await registry.desired(wanted, carriers=True)
            print(f"{len(again)} models looked at in {time.monotonic() - since:.2f} s")
            return again
        finally:
            await registry.close()

    monkeypatch.setattr(module, "PAGE", MODELS // 3)
    desired = asyncio.run(look())
    assert desired.keys() == {*names, "nobody"}
    assert all(desired[name].tags == {"of": name} for name in names)
    assert desired["page-003"].because == "SERVING_MODELS has page-003/1"
    assert desired["page-004"].because == "alias paged"
    assert desired["nobody"].problem == "no such registered model"
