"""The proxy between real clients and real servers, and what it refuses."""

import asyncio
import base64
import contextlib
import http.client
import json
import logging
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

import pytest

from harness.waiting import wait_until
from model_server.network import peer, proxy, rules
from model_server.network.proxy import variables

SECONDS = 10


def _ask(running, request: str, *, secret: str | None = "", then: bytes = b"") -> bytes:
    """All that comes back. `secret`: empty for the right one, None for no login."""
    secret = running.proxy.secret if secret == "" else secret
    login = base64.b64encode(f"serving:{secret}".encode()).decode()
    lines = [
        request,
        *([f"Proxy-Authorization: Basic {login}"] if secret else []),
        "Host: x",
        "",
        "",
    ]
    with socket.create_connection(running.address, SECONDS) as sock:
        sock.sendall("\r\n".join(lines).encode() + then)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def _tunnel(running, host: str) -> socket.socket:
    """A connection to the host through the proxy."""
    sock = socket.create_connection(running.address, SECONDS)
    login = base64.b64encode(f"serving:{running.proxy.secret}".encode()).decode()
    sock.sendall(
        f"CONNECT {host} HTTP/1.1\r\nProxy-Authorization: Basic {login}\r\nHost: x\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1) or pytest.fail(f"closed: {head}")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return sock


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _line(answer: bytes) -> str:
    """The body of a refusal, which its reason phrase repeats."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line = body.decode().removesuffix("\n")
    assert head.split(b"\r\n")[0].decode().endswith(line)
    assert "\n" not in line
    return line


@pytest.fixture
def server():
    """Listens and leaves the rest to the test: (listener, host:port)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield listener, f"127.0.0.1:{listener.getsockname()[1]}"


# What is refused.


def test_host_that_nobody_named_is_refused(running, origin, caplog):
    one = running(tag="api.example.org")
    for _ in range(2):
        answer = _ask(one, f"CONNECT {origin.host} HTTP/1.1")
        assert _status(answer) == 403
        assert "serving.network" in _line(answer)
        assert "SERVING_NETWORK" in _line(answer)
    answer = _ask(one, f"GET {origin.url}/ HTTP/1.1")
    assert _status(answer) == 403
    assert origin.asked == []
    (record,) = caplog.records  # once, though asked three times
    assert (record.model, record.version, record.host) == ("wine", "3", origin.host)
    assert record.levelno == logging.WARNING
    assert one.proxy.refused == {origin.host: record.reason}


def test_other_port_of_a_named_host_is_refused(running, origin):
    one = running(f"localhost:{origin.server_port + 1},localhost")
    assert _status(_ask(one, f"CONNECT {origin.host} HTTP/1.1")) == 403
    assert origin.asked == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.1", "0"])
def test_tag_reaches_no_private_address(running, server, name):
    listener, host = server
    port = host.partition(":")[2]
    one = running(tag=f"{name}:{port}")
    for request in (f"CONNECT {name}:{port}", f"GET http://{name}:{port}/"):
        answer = _ask(one, f"{request} HTTP/1.1")
        assert _status(answer) == 403
        assert f"SERVING_NETWORK={name}:{port}" in _line(answer)
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):  # nobody has connected
        listener.accept()


def test_private_addresses_of_a_name_are_passed_over(running, origin, monkeypatch):
    """Only the one that counts as public here is connected to."""
    looked_up = []

    async def resolve(host, *_):
        looked_up.append(host)
        return ["127.0.0.9", "127.0.0.1", "127.0.0.8"]

    monkeypatch.setattr("model_server.network.outward._resolve", resolve)
    monkeypatch.setattr(rules, "is_public", lambda address: address == "127.0.0.1")
    one = running(tag=f"api.example.org:{origin.server_port}")
    answer = _ask(one, f"GET http://api.example.org:{origin.server_port}/a HTTP/1.1")
    assert _status(answer) == 200
    assert looked_up == ["api.example.org"]  # once: what was looked at is what is connected to


@pytest.mark.parametrize("secret", [None, "wrong"])
def test_nobody_else_may_use_it(running, origin, secret):
    one = running(origin.host)
    for request in (f"CONNECT {origin.host}", f"GET {origin.url}/"):
        answer = _ask(one, f"{request} HTTP/1.1", secret=secret)
        assert _status(answer) == 407
        assert b"proxy-authenticate: basic" in answer.lower()
    assert origin.asked == []
    # Another version's proxy refuses this login, too.
    other = running(origin.host)
    assert _status(_ask(other, f"GET {origin.url}/ HTTP/1.1", secret=one.proxy.secret)) == 407


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 400),
        ("GET https://localhost/ HTTP/1.1", 400),
        ("GET ftp://localhost/ HTTP/1.1", 400),
        ("GET http:// HTTP/1.1", 400),
        ("GET http://user@localhost/ HTTP/1.1", 400),
        ("GET http://localhost:x/ HTTP/1.1", 400),
        ("GET http://localhost:70000/ HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.1", 400),
        ("CONNECT http://localhost/ HTTP/1.1", 400),
        ("CONNECT localhost/x HTTP/1.1", 400),
        ("CONNECT localhost:0 HTTP/1.1", 400),
        ("CONNECT [::1 HTTP/1.1", 400),
        (f"CONNECT {'a' * 1000} HTTP/1.1", 400),
        ("CONNECT two words HTTP/1.1", 400),
        ("not HTTP", 400),
        ("GET http://localhost/ HTTP/1.1\r\nno header", 400),
        (f"GET http://localhost/{'a' * 2 * peer.HEAD_BYTES} HTTP/1.1", 431),
    ],
)
def test_malformed_heads_are_refused(running, request_line, status):
    answer = _ask(running("localhost"), request_line)
    assert _status(answer) == status
    assert len(_line(answer)) < 200


def test_slow_head_is_refused(running, monkeypatch):
    monkeypatch.setattr(proxy, "HEAD_SECONDS", 0.2)
    with socket.create_connection(running("localhost").address, SECONDS) as sock:
        sock.sendall(b"CONNECT loc")
        assert _status(sock.recv(65536)) == 408


def test_connection_that_says_nothing_is_let_go(running):
    one = running("localhost")
    with socket.create_connection(one.address, SECONDS) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    wait_until(lambda: not one.proxy._connections)


def test_too_many_connections_are_refused_until_one_ends(running, origin, monkeypatch):
    monkeypatch.setattr(proxy, "CONNECTIONS", 2)
    one = running(origin.host)
    with _tunnel(one, origin.host), _tunnel(one, origin.host):
        answer = _ask(one, f"CONNECT {origin.host} HTTP/1.1")
        assert _status(answer) == 503
        assert "2 connections" in _line(answer)
    wait_until(lambda: not one.proxy._connections)
    _tunnel(one, origin.host).close()


def test_strangers_take_no_place_of_the_workers(running, origin, monkeypatch):
    monkeypatch.setattr(proxy, "CONNECTIONS", 2)
    one = running(origin.host)
    with _tunnel(one, origin.host) as tunnel:
        waiting = [socket.create_connection(one.address, SECONDS) for _ in range(3)]
        with contextlib.suppress(ConnectionResetError):
            assert waiting[2].recv(1) == b""
        tunnel.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in tunnel.recv(65536)
        for sock in waiting:
            sock.close()


def test_host_that_is_not_there_is_a_bad_gateway(running, server):
    listener, host = server
    listener.close()
    one = running(f"{host},nowhere.invalid")
    for target in (host, "nowhere.invalid:443"):
        answer = _ask(one, f"CONNECT {target} HTTP/1.1")
        assert _status(answer) == 502
        assert f"{target} cannot be reached" in _line(answer)
    assert one.proxy.refused == {}


def test_host_that_does_not_answer_in_time(running, monkeypatch):
    async def resolve(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr("model_server.network.outward.CONNECT_SECONDS", 0.2)
    monkeypatch.setattr("model_server.network.outward._resolve", resolve)
    answer = _ask(running("localhost"), "CONNECT localhost:443 HTTP/1.1")
    assert _status(answer) == 502
    assert "0.2 s" in _line(answer)


# Tunnels.


def test_tunnel_passes_bytes_both_ways_and_keeps_half_closes(running, server):
    listener, host = server
    with _tunnel(running(host), host) as client:
        there, _ = listener.accept()
        with there:
            there.sendall(b"hello")  # the server first, as databases and mail do
            assert client.recv(5) == b"hello"
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: there.recv(100), b"")) == b"question"
            there.sendall(b"answer")
        assert b"".join(iter(lambda: client.recv(100), b"")) == b"answer"


def test_what_comes_right_behind_the_head_passes_too(running, server):
    listener, host = server
    one = running(host)
    answer = []
    asking = threading.Thread(
        target=lambda: answer.append(_ask(one, f"CONNECT {host} HTTP/1.1", then=b"early"))
    )
    asking.start()
    there, _ = listener.accept()
    with there:
        assert there.recv(100) == b"early"
        there.sendall(b"late")
    asking.join()
    assert answer[0].endswith(b"\r\n\r\nlate")


def test_one_that_reads_slowly_makes_the_other_wait(running, server):
    listener, host = server
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with _tunnel(running(host), host) as client:
        there, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.settimeout(0.5)
        piece, sent, most = b"x" * 65536, 0, 64 * 2**20
        with contextlib.suppress(TimeoutError):
            while sent < most:
                sent += client.send(piece)
        assert sent < most / 2  # what the system's own buffers hold
        client.shutdown(socket.SHUT_WR)
        with there:
            assert sum(map(len, iter(lambda: there.recv(2**20), b""))) == sent


def test_silent_tunnel_ends(running, server, monkeypatch):
    monkeypatch.setattr(peer, "IDLE_SECONDS", 1)
    listener, host = server
    with _tunnel(running(host), host) as client:
        there, _ = listener.accept()
        with there:
            for _ in range(3):  # together longer than the limit
                time.sleep(0.5)
                there.sendall(b".")
                assert client.recv(1) == b"."
            began = time.monotonic()
            assert client.recv(1) == b"" or pytest.fail("bytes from nowhere")
            assert 0.5 < time.monotonic() - began < 5


def test_tunnel_that_one_end_left_ends_sooner(running, server, monkeypatch):
    monkeypatch.setattr(peer, "HALF_SECONDS", 0.3)
    listener, host = server
    one = running(host)
    with _tunnel(one, host) as client:
        there, _ = listener.accept()
        with there:
            client.shutdown(socket.SHUT_WR)
            assert there.recv(1) == b""
            wait_until(lambda: not one.proxy._connections)


def test_close_ends_tunnels_and_listens_no_more(running, server):
    listener, host = server
    one = running(host)
    with _tunnel(one, host) as client, socket.create_connection(one.address) as waiting:
        there, _ = listener.accept()
        one.close()
        with there:
            for sock in (client, waiting, there):
                sock.settimeout(SECONDS)
                with contextlib.suppress(ConnectionResetError):
                    assert sock.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(one.address)


def test_tls_is_the_client_s_and_the_server_s_own(running, secure_origin, certificate):
    context = ssl.create_default_context(cafile=certificate)
    with (
        _tunnel(running(secure_origin.host), secure_origin.host) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert secure.recv(65536).startswith(b"HTTP/1.1 200")
    assert secure_origin.asked == ["/a"]


# Plain http.


def _client(running) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*running.address, timeout=SECONDS)


def _headers(running, **more: str) -> dict[str, str]:
    login = base64.b64encode(f"serving:{running.proxy.secret}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {login}", **more}


def test_plain_request_reaches_the_host_as_its_own(running, origin):
    one = running(origin.host)
    client = _client(one)
    sent = _headers(
        one, **{"Connection": "keep-alive, X-Hop", "X-Hop": "1", "X-Kept": "2", "TE": "trailers"}
    )
    sent |= {"Proxy-Connection": "keep-alive"}
    client.request("POST", f"{origin.url}/a?b=c", b"body", sent)
    answer = client.getresponse()
    told = json.load(answer)
    assert (told["path"], told["body"]) == ("/a?b=c", "body")
    headers = {name.lower(): value for name, value in told["headers"].items()}
    assert headers["host"] == origin.host
    assert headers["connection"] == "close"
    assert headers["x-kept"] == "2"
    assert not {"x-hop", "te", "proxy-authorization", "proxy-connection"} & headers.keys()
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Keep-Alive"] is None


def test_chunked_bodies_pass(running, origin):
    one = running(origin.host)
    client = _client(one)
    client.request(
        "POST", f"{origin.url}/a", iter([b"one ", b"two"]), _headers(one), encode_chunked=True
    )
    assert json.load(client.getresponse())["body"] == "one two"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("HEAD", "/a", b""), ("GET", "/unknown-length", b"to the end"), ("GET", "", None)],
)
def test_answers_of_other_lengths_pass(running, origin, method, path, expected):
    one = running(origin.host)
    client = _client(one)
    client.request(method, origin.url + path, headers=_headers(one))
    body = client.getresponse().read()
    assert body == expected if expected is not None else json.loads(body)["path"] == "/"


def test_old_client_gets_its_answer_without_chunks(running, origin):
    answer = _ask(running(origin.host), f"GET {origin.url}/unknown-length HTTP/1.0")
    assert answer.endswith(b"\r\n\r\nto the end")
    assert b"chunked" not in answer


def test_answer_arrives_piece_by_piece(running, origin):
    one = running(origin.host)
    client = _client(one)
    client.request("GET", f"{origin.url}/slow", headers=_headers(one))
    answer = client.getresponse()
    for number in range(3):
        assert answer.read(3) == b"<%d>" % number  # the server sends no more until it is taken
        origin.taken.release()
    assert answer.read() == b""


def test_answer_that_breaks_off_is_no_whole_answer(running, origin):
    one = running(origin.host)
    client = _client(one)
    client.request("GET", f"{origin.url}/half", headers=_headers(one))
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        client.getresponse().read()


def test_host_that_gives_no_answer_is_a_bad_gateway(running, origin):
    answer = _ask(running(origin.host), f"GET {origin.url}/nothing HTTP/1.1")
    assert _status(answer) == 502
    assert origin.host in _line(answer)


def test_host_that_stays_silent_is_a_bad_gateway(running, server, monkeypatch):
    monkeypatch.setattr(peer, "IDLE_SECONDS", 0.3)
    listener, host = server
    answer = _ask(running(host), f"GET http://{host}/ HTTP/1.1")
    assert _status(answer) == 502
    there, _ = listener.accept()
    with there:
        assert b"".join(iter(lambda: there.recv(100), b"")).startswith(b"GET / HTTP/1.1\r\n")


def test_client_that_leaves_within_its_body_leaves_the_host_too(running, server):
    listener, host = server
    one = running(host)
    client = _client(one)
    client.request(
        "POST", f"http://{host}/", iter([b"half"]), _headers(one, **{"Content-Length": "8"})
    )
    there, _ = listener.accept()
    with there:
        there.settimeout(SECONDS)
        client.close()
        with contextlib.suppress(ConnectionResetError):
            assert b"".join(iter(lambda: there.recv(100), b"")).endswith(b"half")
    wait_until(lambda: not one.proxy._connections)


def test_second_request_of_a_connection_is_not_passed_on(running, origin):
    one = running(origin.host)
    login = _headers(one)["Proxy-Authorization"]
    second = f"GET {origin.url}/second HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {login}\r\n\r\n"
    answer = _ask(one, f"GET {origin.url}/first HTTP/1.1", then=second.encode())
    assert answer.count(b"HTTP/1.1 200") == 1
    assert origin.asked == ["/first"]


# The proxy of the server's own environment.


@pytest.fixture
def company(running, monkeypatch, origin, secure_origin):
    """A proxy that the server's environment names."""
    one = running(f"{origin.host},{secure_origin.host}")
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, one.url)
    return one


def test_server_s_own_proxy_is_used(running, company, origin, secure_origin, certificate):
    one = running(f"{origin.host},{secure_origin.host}")
    company_seen = _count(company)
    assert _status(_ask(one, f"GET {origin.url}/a HTTP/1.1")) == 200
    context = ssl.create_default_context(cafile=certificate)
    with (
        _tunnel(one, secure_origin.host) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert secure.recv(65536).startswith(b"HTTP/1.1 200")
    assert company_seen == [origin.host, secure_origin.host]


def _count(running) -> list[str]:
    """The hosts that it was asked for, from now on."""
    seen, connect = [], running.proxy._connect

    async def counted(host, port, scheme):
        seen.append(rules.join(host, port))
        return await connect(host, port, scheme)

    running.proxy._connect = counted
    return seen


def test_no_proxy_is_heeded(running, company, origin, monkeypatch):
    seen = _count(company)
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert _status(_ask(running(origin.host), f"GET {origin.url}/a HTTP/1.1")) == 200
    assert seen == []


@pytest.mark.usefixtures("company")
def test_refusal_of_the_server_s_own_proxy_is_told(running):
    answer = _ask(running("other.example"), "CONNECT other.example:443 HTTP/1.1")
    assert _status(answer) == 502
    assert "the server's own proxy answers 403" in _line(answer)


def test_tag_reaches_no_private_address_by_the_server_s_own_proxy(running, company, origin):
    seen = _count(company)
    one = running(tag=f"{origin.host},unknown.invalid")
    assert _status(_ask(one, f"GET {origin.url}/a HTTP/1.1")) == 403
    # A name that only that proxy may know is left to it.
    assert _status(_ask(one, "CONNECT unknown.invalid:443 HTTP/1.1")) == 502
    assert seen == ["unknown.invalid:443"]


def test_server_s_own_proxy_may_speak_tls(
    running, company, origin, server_context, certificate, monkeypatch
):
    async def start():
        return await asyncio.start_server(
            company.proxy._accept, "127.0.0.1", 0, ssl=server_context, limit=peer.PIECE
        )

    listening = company.run(start())
    port = listening.sockets[0].getsockname()[1]
    login = urlsplit(company.url).netloc.rpartition("@")[0]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("HTTPS_PROXY", f"https://{login}@localhost:{port}")
    with _tunnel(running(origin.host), origin.host) as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in sock.recv(65536)
    company.loop.call_soon_threadsafe(listening.close)


def test_variables_are_for_every_kind_of_client():
    proxies = variables(1234, "s")
    assert proxies["HTTPS_PROXY"] == proxies["http_proxy"] == "http://serving:s@127.0.0.1:1234"
    assert proxies["NO_PROXY"] == proxies["no_proxy"] == ""
    assert {name.lower() for name in proxies} == {name for name in proxies if name.islower()}


def test_secret_and_contents_are_in_no_log(running, origin, caplog):
    caplog.set_level(logging.DEBUG)
    one = running(origin.host)
    client = _client(one)
    client.request("POST", f"{origin.url}/a-path", b"a body", _headers(one))
    client.getresponse().read()
    _ask(one, "CONNECT other.example:443 HTTP/1.1")
    text = "\n".join(str(vars(record)) for record in caplog.records)
    assert "other.example" in text
    assert not any(word in text for word in (one.proxy.secret, "a-path", "a body"))
