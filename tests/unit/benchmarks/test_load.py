"""The load generator against a small real server."""

import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import Request, Result, run


class Handler(BaseHTTPRequestHandler):
    """Answers by path, and keeps the bodies."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        if self.path == "/lost":
            self.close_connection = True
            return
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.bodies = []
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def post(path, body=b"{}"):
    return Request("POST", path, body)


def test_each_client_sends_its_requests_in_order(server):
    clients = [iter([post("/", b"%d" % n) for n in range(first, 30, 3)]) for first in range(3)]

    result = run(server.server_port, clients, seconds=30)

    assert (result.requests, result.errors, len(result.latencies)) == (30, 0, 30)
    assert sorted(map(int, server.bodies)) == list(range(30))
    for first in range(3):
        mine = [int(body) for body in server.bodies if int(body) % 3 == first]
        assert mine == sorted(mine)


def test_it_ends_with_the_time(server):
    result = run(server.server_port, [itertools.repeat(post("/"))], seconds=0.3)

    assert result.requests > 0
    assert 0.3 <= result.seconds < 5
    assert result.percentile(50) <= result.percentile(99)


@pytest.mark.parametrize("path", ["/bad", "/lost"])
def test_errors_count_and_do_not_stop_the_load(server, path):
    requests = iter([post("/"), post(path), post("/")])

    result = run(server.server_port, [requests], seconds=30)

    assert (result.requests, result.errors) == (3, 1)


def test_the_rate_is_of_good_answers():
    assert Result(seconds=2.0, requests=10, errors=4).rate == 3
