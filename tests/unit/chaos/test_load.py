"""What becomes of clients that are answered as no client should be."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chaos import load
from chaos.ledger import Ledger
from chaos.load import PREDICT, Load
from chaos.scene import Scene
from chaos.summary import WRONG
from harness.stack import Stack
from harness.waiting import wait_until


class Odd(BaseHTTPRequestHandler):
    """Answers in the way that is set on the server."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.set()
        if self.server.way == "never":
            self.server.over.wait(30)
            return
        self.send_response(200)
        if self.server.way == "garbage":
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"no")

    def log_message(self, *_):
        pass


@pytest.fixture
def odd(monkeypatch):
    """Where one client asks for predictions."""
    monkeypatch.setattr(load, "_experiment", lambda _: "0")
    monkeypatch.setattr(load, "CLIENTS", {PREDICT: 1})
    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        server.asked, server.over = threading.Event(), threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def scene_of(server) -> Scene:
    return Scene(Stack(Path(), "none", 1, server.server_port))


def test_a_success_without_json_is_a_wrong_answer(odd):
    odd.way = "text"
    scene = scene_of(odd)
    with Load(scene, Ledger()) as clients:
        wait_until(lambda: len(clients.attempts(PREDICT)) > 1, 10, "the client goes on asking")
    assert {(one.outcome, one.detail) for one in clients.attempts(PREDICT)} == {(WRONG, "no")}
    assert scene.problems == []


def test_a_client_that_ends_is_a_problem(odd):
    odd.way = "garbage"
    scene = scene_of(odd)
    with Load(scene, Ledger()):
        wait_until(lambda: scene.problems, 10, "the client's end is told")
    assert scene.problems[0].startswith("predict0 ended: DecodingError(")


def test_a_call_that_never_returns_is_a_problem(odd, monkeypatch):
    monkeypatch.setattr(load, "STOP_SECONDS", 0.1)
    odd.way = "never"
    scene = scene_of(odd)
    with Load(scene, Ledger()):
        odd.asked.wait(10)
    assert scene.problems == ["still in one call 0.1 s after the end: predict0"]
