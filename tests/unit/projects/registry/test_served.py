"""What the model server's list says about a model, and what is made of an answer that is none."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from served import CannotAskError, Entry, served


@pytest.fixture
def answering(monkeypatch):
    """A function that lets MODEL_SERVER_URL name a server with the given status and body."""
    servers = []

    def answer(body: bytes, status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("MODEL_SERVER_URL", f"http://127.0.0.1:{server.server_port}/")

    yield answer
    for server in servers:
        server.shutdown()
        server.server_close()


def entry(name, version, source, wanted=None, because="alias champion"):
    return {
        "name": name,
        "version": version,
        "source": source,
        "wanted_version": wanted or version,
        "because": because,
    }


def test_a_version_is_found_under_whatever_name_it_is_served(answering):
    listed = [
        entry("wine", "3", "models:/wine/3"),
        entry("blue", "1", "models:/wine/1", because="SERVING_MODELS has blue=models:/wine/1"),
        entry("wine@challenger", "4", "models:/wine/4"),
        entry("other", "3", "models:/other/3"),
        entry("wine-2", "2", "models:/wine-2/2"),
        entry("folder", "1", "folder wine"),
    ]
    answering(json.dumps({"models": listed}).encode())

    entries = served("wine")

    assert [one.version for one in entries] == ["3", "1", "4"]
    assert entries[0] == Entry("3", "served as wine (alias champion)")
    assert "SERVING_MODELS has blue" in entries[1].words


def test_a_version_on_its_way_counts_too(answering):
    missing = {"name": "wine", "version": None, "wanted_version": "2", "because": "alias champion"}
    answering(json.dumps({"models": [missing]}).encode())

    assert served("wine") == [Entry("2", "about to be served as wine (alias champion)")]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"<html>", 200, "no list of models"),
        (b"[]", 200, "no list of models"),
        (b'{"models": [1]}', 200, "no list of models"),
        (b"{}", 200, "no list of models"),
        (b"{}", 403, "403"),
        (b"", 500, "500"),
    ],
)
def test_what_is_no_model_server_is_said(answering, body, status, why):
    answering(body, status)

    with pytest.raises(CannotAskError, match=f"^no model server answers at http://.*: .*{why}"):
        served("wine")


@pytest.mark.parametrize(
    ("address", "why"),
    [("http://127.0.0.1:1", "no connection"), ("nonsense", "Invalid URL")],
)
def test_an_address_without_a_server_is_said(monkeypatch, address, why):
    monkeypatch.setenv("MODEL_SERVER_URL", address)

    with pytest.raises(CannotAskError, match=f"^no model server answers at {address}: {why}"):
        served("wine")
