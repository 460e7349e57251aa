"""A model that says which hosts it needs reaches these, and no other."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.serving import ModelServer
from tests.integration.serving.confinement import probes
from tests.integration.serving.confinement.served import Served


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def other():
    """A server that nothing may reach."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture(scope="module")
def server(nosy, provider, tmp_path_factory):
    running = ModelServer(
        tmp_path_factory.mktemp("network"),
        SERVING_MODELS=f"nosy={nosy}",
        SERVING_NETWORK=f"localhost:{provider}",
    ).start()
    yield running
    running.stop()


def test_the_host_that_is_named_is_reached(server, provider):
    url = f"http://localhost:{provider}/"
    acts = [f"get|{client}|{url}" for client in ("urllib", "requests", "httpx", "aiohttp")]
    assert Served(server).ask(acts) == ["done: hello"] * len(acts)


def test_no_other_host_is(server, other):
    port = other.getsockname()[1]
    (answer,) = Served(server).ask([f"get|requests|http://127.0.0.1:{port}/"])
    assert answer == "done: 403"
    (refused,) = server.model("nosy")["refused_hosts"]
    assert f"127.0.0.1:{port}" in refused
    assert "serving.network" in refused


def test_without_a_client_that_knows_the_proxy_nothing_is_reached(server, other):
    """Whatever address it connects to, it is the proxy that it speaks to."""
    port = other.getsockname()[1]
    expected = {
        f"exchange|127.0.0.1|{port}": "done: HTTP/1.1 400",
        f"exchange|192.0.2.1|{port}": "done: HTTP/1.1 400",
        f"send|127.0.0.1|{port}": probes.NO,
        "listen": probes.NO,
        "speak|/no/such/socket": probes.NO,
    }
    assert probes.wrong(expected, Served(server).ask) == {}
    with pytest.raises(BlockingIOError):
        other.accept()


def test_a_port_that_the_operator_names_is_reached_without_the_proxy(nosy, other, tmp_path):
    port = other.getsockname()[1]
    server = ModelServer(
        tmp_path, SERVING_MODELS=f"nosy={nosy}", SERVING_NETWORK=f":{port}"
    ).start()
    try:
        expected = {
            f"connect|127.0.0.1|{port}": "done",
            f"connect|127.0.0.1|{server.port}": probes.NO,
            "listen": probes.NO,
            "resolve|localhost": "done",
        }
        assert probes.wrong(expected, Served(server).ask) == {}
    finally:
        server.stop()
    other.accept()[0].close()
