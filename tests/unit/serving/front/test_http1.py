"""Requests over real sockets: order, limits, time, and what is no HTTP at all."""

import asyncio
import contextlib
import json
import socket
import threading
import time
import tracemalloc

import httpx
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.waiting import wait_until
from model_server.errors import RefusedError
from model_server.front import http1
from model_server.front.exchange import Exchange, Source
from model_server.front.http1 import Limits
from model_server.front.listener import Listener

LIMITS = Limits(body=100_000, buffer=150_000, connections=50, head_seconds=0.5, body_seconds=0.5)
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Echo:
    """A front in a thread of its own. Its handler answers with what it was asked; a path that
    begins with /wait is answered when the test says so. It takes no body for /closed."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.front = Listener(limits, self._admit_body, self._handle)
        self.admitted = 0
        self.waiting: list[Exchange] = []
        self.loop = uvloop.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.run(self.front.start(self._listener))

    def _admit_body(self, exchange: Exchange) -> None:
        self.admitted += 1
        if exchange.url == b"/closed":
            raise RefusedError(401, "UNAUTHENTICATED", "Not you.")

    def _handle(self, exchange: Exchange) -> None:
        if exchange.refusal:
            exchange.answer(exchange.refusal.status, b"", exchange.refusal.body)
        elif exchange.url.startswith(b"/wait"):
            self.waiting.append(exchange)
        else:
            self.echo(exchange)

    def echo(self, exchange: Exchange) -> None:
        content = {
            "method": exchange.method.decode(),
            "url": exchange.url.decode("latin-1"),
            "body": exchange.body.decode("latin-1"),
            "headers": {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in exchange.headers.items()
            },
        }
        exchange.answer(200, b"content-type: application/json\r\n", json.dumps(content).encode())

    def let_go(self, count: int) -> None:
        """Answer `count` waiting requests."""
        wait_until(lambda: len(self.waiting) >= count)
        for _ in range(count):
            self.loop.call_soon_threadsafe(self.echo, self.waiting.pop(0))

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def close(self) -> None:
        self.run(self.front.stop(0))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def echo():
    running = Echo()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _nothing_is_left(request):
    """No connection and no byte of a body is held once the clients have gone."""
    yield
    if "echo" in request.fixturenames:
        front = request.getfixturevalue("echo").front
        wait_until(lambda: not front.connections)
        wait_until(lambda: front.held == 0)


@contextlib.contextmanager
def connection(echo: Echo):
    with socket.create_connection(echo.address, timeout=10) as sock:
        yield sock


def answers(sock: socket.socket, count: int) -> list[tuple[int, dict]]:
    """Read `count` answers: status and JSON."""
    received, data = [], b""
    while len(received) < count:
        head, separator, rest = data.partition(b"\r\n\r\n")
        if separator:
            status = int(head.split()[1])
            if status == 100:
                received.append((100, {}))
                data = rest
                continue
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(rest) >= length:
                received.append((status, json.loads(rest[:length] or b"null")))
                data = rest[length:]
                continue
        part = sock.recv(65536)
        assert part, f"closed after {len(received)} answers and {data!r}"
        data += part
    assert not data
    return received


def sent(echo: Echo, *parts: bytes) -> tuple[int, dict]:
    with connection(echo) as sock:
        for part in parts:
            sock.sendall(part)
        return answers(sock, 1)[0]


def is_closed(sock: socket.socket) -> bool:
    """Whether the server closed it within its time."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_plain_request(echo):
    answer = httpx.post(f"{echo.url}/a%2Fb?c=d", content=b"hello", headers={"X-A": "1"})
    assert answer.status_code == 200
    content = answer.json()
    assert (content["method"], content["url"], content["body"]) == ("POST", "/a%2Fb?c=d", "hello")
    assert content["headers"]["x-a"] == "1"
    assert answer.headers["date"].endswith(" GMT")


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.integers(1, 400))
def test_pipelined_requests_are_answered_in_order_however_they_are_cut(echo, bodies, piece):
    stream = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (number, len(body), body)
        for number, body in enumerate(bodies)
    )
    with connection(echo) as sock:
        for start in range(0, len(stream), piece):
            sock.sendall(stream[start : start + piece])
        received = answers(sock, len(bodies))
    assert [content["url"] for _, content in received] == [f"/{n}" for n in range(len(bodies))]
    assert [content["body"].encode("latin-1") for _, content in received] == bodies


def test_pipelined_request_waits_for_the_one_before(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        echo.let_go(1)
        assert [content["url"] for _, content in answers(sock, 2)] == ["/wait", "/a"]


def test_endless_pipeline_is_read_only_so_far(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + GET * 300)
        wait_until(lambda: echo.waiting)
        (open_one,) = echo.front.connections
        echo.let_go(1)
        assert len(answers(sock, 301)) == 301
        assert len(open_one._ready) == 0


def test_chunked_body(echo):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, content = sent(echo, head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
    assert (status, content["body"]) == (200, "abcde")


def test_chunks_of_two_bytes_take_no_more_memory_than_one_of_all():
    size = 1_000_000
    echo = Echo(Limits(size, size, 50, 20, 20))
    tracemalloc.start()
    try:
        with connection(echo) as sock:
            sock.sendall(b"POST /wait HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            sock.sendall(b"2\r\nab\r\n" * (size // 2) + b"0\r\n\r\n")
            wait_until(lambda: echo.waiting, 30)
        assert echo.waiting[0].body == b"ab" * (size // 2)
        assert tracemalloc.get_traced_memory()[1] < 12 * size  # the client's side takes 7
        echo.let_go(1)
    finally:
        tracemalloc.stop()
        echo.close()


def test_client_that_asks_first_is_told_to_continue(echo):
    with connection(echo) as sock:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        sock.sendall(head)
        assert answers(sock, 1) == [(100, {})]
        sock.sendall(b"ok")
        assert answers(sock, 1)[0][1]["body"] == "ok"


def test_client_that_asks_first_is_told_that_it_is_too_much(echo):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n"
    assert sent(echo, head)[0] == 413


@pytest.mark.parametrize("size", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("first", [b"", b"Expect: 100-continue\r\n"])
def test_body_that_is_not_to_be_read_is_refused_before_it_comes(echo, size, first):
    with connection(echo) as sock:
        sock.sendall(b"POST /closed HTTP/1.1\r\nHost: x\r\n%b%b\r\n\r\n" % (first, size))
        assert [status for status, _ in answers(sock, 1)] == [401]
        assert is_closed(sock)


def test_refused_body_waits_for_the_answers_before_it_and_nothing_follows(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.sendall(b"POST /closed HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET)
        echo.let_go(1)
        assert [status for status, _ in answers(sock, 2)] == [200, 401]
        assert is_closed(sock)


def test_only_what_has_a_body_is_asked_about_and_once(echo):
    before = echo.admitted
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok"
    assert sent(echo, b"POST /b HTTP/1.1\r\nHost: x\r\n" + offer)[0] == 200
    assert echo.admitted == before + 1
    assert sent(echo, b"POST /closed HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")[0] == 200
    assert sent(echo, b"GET /closed HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 200
    assert echo.admitted == before + 1


def test_head_request_gets_no_body(echo):
    answer = httpx.head(f"{echo.url}/a")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
)
def test_connection_ends_when_the_client_wants_that(echo, request_):
    with connection(echo) as sock:
        sock.sendall(request_)
        assert answers(sock, 1)[0][0] == 200
        assert is_closed(sock)


def test_half_closed_client_gets_its_answer(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        echo.let_go(1)
        assert answers(sock, 1)[0][0] == 200
        assert is_closed(sock)


def test_offered_upgrade_is_ignored(echo):
    """Java's client offers h2c with its first request."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    status, content = sent(echo, b"GET /a HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
    assert (status, content["url"]) == (200, "/a")
    post = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + offer + b"\r\nok"
    status, content = sent(echo, post)
    assert (status, content["body"]) == (200, "ok")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00b: c\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_400_and_the_end(echo, garbage):
    with connection(echo) as sock:
        sock.sendall(garbage)
        status, content = answers(sock, 1)[0]
        assert (status, content["error_code"]) == (400, "BAD_REQUEST")
        assert is_closed(sock)


@settings(max_examples=200)
@given(st.binary(min_size=1, max_size=2000))
def test_no_bytes_upset_it(echo, noise):
    with connection(echo) as sock:
        sock.sendall(noise)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass
    assert sent(echo, GET)[0] == 200


def test_what_went_before_the_garbage_is_answered(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"garbage\r\n\r\n")
        echo.let_go(1)
        assert [status for status, _ in answers(sock, 3)] == [200, 200, 400]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(9000)) + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"a" * 200_000,
    ],
    ids=["one header", "many headers", "address", "endless"],
)
def test_large_head_is_refused(echo, head):
    assert sent(echo, head)[0] == 431


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_is_refused(echo, chunked):
    body = b"a" * 100_001
    if chunked:
        head = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
    else:
        head = b"Content-Length: %d\r\n\r\n" % len(body)
    status, content = sent(echo, b"POST / HTTP/1.1\r\nHost: x\r\n", head + body + b"\r\n")
    assert (status, content["error_code"]) == (413, "INVALID_PARAMETER_VALUE")


def test_client_that_sends_all_before_it_reads_learns_the_reason(echo):
    answer = httpx.post(echo.url, content=b"a" * 30_000_000)
    assert answer.status_code == 413


def test_bodies_together_have_a_limit(echo):
    with connection(echo) as first, connection(echo) as second:
        for sock in (first, second):
            sock.sendall(b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n")
        first.sendall(b"a" * 90_000)
        wait_until(lambda: echo.waiting)
        second.sendall(b"a" * 90_000)
        assert answers(second, 1)[0][0] == 429
        echo.let_go(1)
        assert answers(first, 1)[0][0] == 200


@pytest.mark.parametrize(
    ("begun", "part"),
    [
        (b"GET / HT", "head"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", "head"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "body"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "body"),
    ],
)
def test_slow_clients_are_told_and_left(echo, begun, part):
    with connection(echo) as sock:
        sock.sendall(begun)
        status, content = answers(sock, 1)[0]
        assert status == 408
        assert part in content["message"]
        assert is_closed(sock)


def test_dripping_head_does_not_win_time(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        sock.settimeout(0.02)
        started, answer = time.monotonic(), b""
        while not answer and time.monotonic() - started < 5:
            sock.sendall(b"A: b\r\n")
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_slow_second_request_does_not_hurt_the_first(echo):
    with connection(echo) as sock:
        sock.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /b HT")
        wait_until(lambda: echo.waiting)
        echo.let_go(1)
        assert [status for status, _ in answers(sock, 2)] == [200, 408]


def test_idle_connection_is_closed(echo, monkeypatch):
    monkeypatch.setattr(http1, "KEEP_ALIVE", 0.3)
    with connection(echo) as sock:
        sock.sendall(GET)
        assert answers(sock, 1)[0][0] == 200
        assert is_closed(sock)


def test_client_that_does_not_read_is_left(monkeypatch):
    monkeypatch.setattr(http1, "SLOW_READER", 0.5)
    echo = Echo(Limits(20_000_000, 50_000_000, 50, 5, 5))
    try:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(echo.address)
            body = b"a" * 10_000_000
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
            sock.sendall(body)
            wait_until(lambda: echo.front.connections)
            wait_until(lambda: not echo.front.connections)
        assert echo.front.held == 0
    finally:
        echo.close()


def test_client_that_goes_away_costs_nothing(echo):
    with connection(echo) as sock:
        sock.sendall(b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 3)
        wait_until(lambda: echo.waiting)

    def is_over() -> bool:
        if echo.waiting:
            echo.let_go(1)
        return not echo.front.connections and not echo.waiting

    wait_until(is_over)


def test_one_connection_too_many(echo):
    with contextlib.ExitStack() as stack:
        for _ in range(LIMITS.connections):
            stack.enter_context(connection(echo)).sendall(b"G")
        wait_until(lambda: len(echo.front.connections) == LIMITS.connections)
        status, content = sent(echo)
        assert (status, content["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_running_requests_are_answered_at_the_end():
    echo = Echo()
    try:
        with connection(echo) as idle, connection(echo) as busy:
            busy.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: echo.waiting and len(echo.front.connections) == 2)
            ending = asyncio.run_coroutine_threadsafe(echo.front.stop(10), echo.loop)
            assert is_closed(idle)
            echo.let_go(1)
            assert answers(busy, 1)[0][0] == 200
            assert is_closed(busy)
            with pytest.raises(OSError), connection(echo):  # noqa: PT011
                pass
        ending.result(10)
    finally:
        echo.close()


def test_pipelined_offers_of_another_protocol_are_all_ignored(echo):
    offer = b"GET /%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with connection(echo) as sock:
        sock.sendall(b"".join(offer % number for number in range(3)))
        assert [content["url"] for _, content in answers(sock, 3)] == ["/0", "/1", "/2"]


def test_endless_trailer_is_refused(echo):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: "
    with connection(echo) as sock:
        sock.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                sock.sendall(b"a" * 10_000)
        assert answers(sock, 1)[0][0] == 431


def test_trailer_is_no_header(echo):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, content = sent(echo, head, b"1\r\na\r\n0\r\nOrigin: http://evil.test\r\n\r\n")
    assert (status, content["body"]) == (200, "a")
    assert "origin" not in content["headers"]


@pytest.mark.parametrize("cut", [99_000, 100_000, 100_030])
def test_body_of_the_one_before_does_not_count_as_a_head(echo, cut):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    stream = head + b"a" * 100_000 + GET
    with connection(echo) as sock:
        sock.sendall(stream[: len(head) + cut])
        sock.sendall(stream[len(head) + cut :])
        assert [status for status, _ in answers(sock, 2)] == [200, 200]


def test_what_follows_the_last_request_is_not_heard(echo):
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with connection(echo) as sock:
        sock.sendall(last + GET + b"garbage")
        assert answers(sock, 1)[0][0] == 200
        assert is_closed(sock)


def test_slow_reader_gets_all_of_a_large_answer(monkeypatch):
    """It takes longer than any one time limit, but it always takes something."""
    monkeypatch.setattr(http1, "SLOW_READER", 0.5)
    monkeypatch.setattr(http1, "PATIENCE", 0.3)
    echo = Echo(Limits(20_000_000, 50_000_000, 50, 5, 5))
    try:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(echo.address)
            body = b"a" * 8_000_000
            head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            sock.sendall(head % len(body) + body)
            received, started = 0, time.monotonic()
            while part := sock.recv(65536):
                received += len(part)
                while received / 3_000_000 > time.monotonic() - started:
                    time.sleep(0.01)
        assert received > len(body)
    finally:
        echo.close()


class Parts:
    """A front whose answers come in parts, as the test writes them."""

    def __init__(self) -> None:
        self.echo = Echo()
        self.echo.front.handle = self._handle
        self.streams: list[Exchange] = []
        self.heard: list[str] = []

    def _handle(self, exchange: Exchange) -> None:
        if exchange.refusal or not exchange.url.startswith(b"/parts"):
            self.echo._handle(exchange)
            return
        told = Source(*(lambda word=word: self.heard.append(word) for word in Source._fields))
        exchange.begin(200, b"content-type: text/plain\r\n", told)
        self.streams.append(exchange)

    def write(self, *parts: bytes) -> None:
        for part in parts:
            self.do(lambda stream, part=part: stream.write(part))

    def end(self) -> None:
        self.do(lambda stream: stream.end())
        self.streams.pop(0)

    def do(self, what) -> None:
        """Call it with the first stream, in the stream's thread."""
        wait_until(lambda: self.streams)

        async def work() -> None:
            what(self.streams[0])

        self.echo.run(work())


@pytest.fixture
def parts():
    running = Parts()
    yield running
    wait_until(lambda: not running.echo.front.connections)
    assert running.echo.front.held == 0
    running.echo.close()


def received(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = sock.recv(65536)
        assert part, f"closed after {data!r}"
        data += part
    return data


PARTS = b"POST /parts HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


def test_parts_arrive_one_by_one_and_the_connection_goes_on(parts):
    with connection(parts.echo) as sock:
        sock.sendall(PARTS)
        head = received(sock, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n")
        assert b"\r\ntransfer-encoding: chunked\r\n" in head
        assert b"content-length" not in head
        parts.write(b"one")
        assert received(sock, b"\n") == b"3\r\none\r\n"
        parts.write(b"", b"x" * 20)
        assert received(sock, b"x\r\n") == b"14\r\n" + b"x" * 20 + b"\r\n"
        parts.end()
        assert received(sock, b"0\r\n\r\n") == b"0\r\n\r\n"
        sock.sendall(GET)
        assert answers(sock, 1)[0][0] == 200
    assert parts.heard == []


def test_what_is_asked_during_parts_is_answered_after_them(parts):
    with connection(parts.echo) as sock:
        sock.sendall(PARTS + GET)
        received(sock, b"\r\n\r\n")
        parts.write(b"one")
        assert received(sock, b"one\r\n") == b"3\r\none\r\n"
        parts.end()
        rest = received(sock, b"}")
        assert rest.startswith(b"0\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert rest.count(b"HTTP/1.1") == 1


def test_http_1_0_gets_its_parts_up_to_the_connections_end(parts):
    with connection(parts.echo) as sock:
        sock.sendall(b"GET /parts HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
        parts.write(b"one", b"two")
        parts.end()
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert b"connection: close" in head
    assert body == b"onetwo"


def test_head_request_gets_no_parts(parts):
    with connection(parts.echo) as sock:
        sock.sendall(b"HEAD /parts HTTP/1.1\r\nHost: x\r\n\r\n")
        received(sock, b"\r\n\r\n")
        parts.write(b"one")
        parts.end()
        sock.sendall(GET)
        assert answers(sock, 1)[0][1]["url"] == "/a"


def test_client_that_goes_away_between_parts_is_noticed(parts):
    with connection(parts.echo) as sock:
        sock.sendall(PARTS)
        received(sock, b"\r\n\r\n")
    wait_until(lambda: parts.heard == ["gone"])
    parts.write(b"one")
    parts.end()
    assert parts.heard == ["gone"]


def test_client_that_is_slow_makes_its_parts_wait(parts):
    with connection(parts.echo) as sock:
        sock.sendall(PARTS)
        received(sock, b"\r\n\r\n")
        sent = 0
        while "pause" not in parts.heard:
            parts.write(b"a" * 100_000)
            sent += 100_000
        while sent > 0:
            data = sock.recv(2**20)
            sent -= data.count(b"a")
        wait_until(lambda: parts.heard == ["pause", "resume"])
        parts.end()
        assert received(sock, b"0\r\n\r\n")


def test_client_that_takes_none_of_its_parts_is_left(parts, monkeypatch):
    monkeypatch.setattr(http1, "SLOW_READER", 0.3)
    with connection(parts.echo) as sock:
        sock.sendall(PARTS)
        while "pause" not in parts.heard:
            parts.write(b"a" * 1_000_000)
        wait_until(lambda: parts.heard == ["pause", "gone"])
