"""The load generators against a small real server."""

import itertools
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import wrk
from benchmarks.load import JSON, Request, Result, run


class Handler(BaseHTTPRequestHandler):
    """Answers by path, and keeps the bodies."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.server.headers.append(dict(self.headers))
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
        http.bodies, http.headers = [], []
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


@pytest.mark.skipif(not wrk.installed(), reason=wrk.MISSING)
class TestWrk:
    """With a server of another program's, so that what is sent is what is read."""

    def test_every_request_has_a_number_of_its_own_and_values_in_turn(self, server):
        body = b'{"run": "{{run}}", "step": {{n}}, "key": "{{k}}", "\x00": 1}'
        request = Request("POST", "/{{run}}", body, {**JSON, "Authorization": "{{login}}"})
        values = {"run": ["a", "b"], "login": ["of a", "of b"]}
        first = 1_764_543_210_123_456

        seen = wrk.run(address(server), 2, request, 1, values=values, first=first)

        assert seen["errors"] == 0
        assert seen["requests"] <= len(server.bodies) <= seen["requests"] + 2
        assert seen["p50"] <= seen["p95"] <= seen["p99"]
        sent = set()
        for body, headers in zip(server.bodies, server.headers, strict=True):
            number = int(re.search(rb'"step": (\d+)', body)[1])
            run = "ab"[number % 2]
            text = f'{{"run": "{run}", "step": {number}, "key": "{number // 1000}", "\x00": 1}}'
            assert (body, headers["Authorization"]) == (text.encode(), f"of {run}")
            sent.add(number)
        assert len(sent) == len(server.bodies)
        assert min(sent) > first

    def test_one_request_is_repeated_and_bad_answers_count(self, server):
        seen = wrk.run(address(server), 1, post("/bad", b"{{n}}"), 1)

        assert seen["errors"] == seen["requests"] > 0
        assert seen["rate"] == 0
        assert set(server.bodies) == {b"{{n}}"}


def address(server):
    return f"http://127.0.0.1:{server.server_port}"
