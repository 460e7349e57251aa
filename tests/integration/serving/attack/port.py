"""What any HTTP/1.1 port must stand: a class of tests for each port that has a fixture `door`."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tests.integration.serving.attack.door import AT_ONCE, Door, reset
from tests.integration.serving.hostile.attacks import CHUNKS, FRAMINGS, MIB, START_LINES
from tests.integration.serving.hostile.client import Answer, HangError

FULL = os.environ.get("FULL") == "1"
CONNECTIONS = 1000 if FULL else 200
WITHOUT_LIMIT = 3.0
"""Seconds to wait for ports that set none."""
ONE_MORE = 1.0
"""Seconds to wait for an answer behind the last, on a connection that may be kept."""
REFUSED = {400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 422, 431, 501, 505}
"""Answers to unsound HTTP; also 2xx, where a port reads more than it must."""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""Sent behind a request that two readers may end at two places."""
BODIES = (
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"max_results": NaN}', b'{"max_results": -Infinity}'),
    *(b'{"max_results": 1e999}', b'{"max_results": ' + b"9" * 10_000 + b"}", b"NaN", b"\xff\xfe{}"),
    *(
        b'{"filter": "\\ud800"}',
        b'{"\xff": 1}',
        b'{"a": 1, "a": 2}',
        b"\x00",
        b"null",
        b"[]",
        b'""',
    ),
)
LEAKS = (b"Traceback", b'File "', b"site-packages", b"goroutine", b"SMUGGLED")


UNFINISHED_HEADS = {
    *("NULs", "only line ends", "TLS", "SOCKS", "SSH", "a header without end"),
    *("no end of a chunk's size", "no end of a chunk's extension", "no end of trailers"),
}
"""Cases of `unsound` that a port may take for the beginning of a head, or of a line."""
UNFINISHED_BODIES = {"no end of chunks", "a length too large", "chunks and length"}
"""Cases where more of a body may come. Everything else is answered or closed at once."""


def tls_hello() -> bytes:
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def unsound(door: Door) -> dict[str, bytes]:
    """No sound HTTP/1.1, each by its name."""
    host = f"Host: {door.name}\r\n"
    if door.authorization:
        host += f"Authorization: {door.authorization}\r\n"
    post = f"POST {door.path} HTTP/1.1\r\n{host}Content-Type: application/json\r\n".encode()
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    get = f"GET /models HTTP/1.1\r\n{host}".encode()
    random = Random(4)
    return {
        **{
            f"framing {line[:60]!r}": post + line + b"\r\n\r\n" + b"{}" + SMUGGLED
            for line in FRAMINGS
        },
        **{f"chunks {chunks[:60]!r}": chunked + chunks + SMUGGLED for chunks in CHUNKS},
        **{f"start {line[:60]!r}": line + b"\r\nHost: localhost\r\n\r\n" for line in START_LINES},
        **{
            f"random {size}": random.randbytes(size) + b"\r\n\r\n" for size in (1, 30, 3000, 90_000)
        },
        "length and chunks": post
        + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
        "chunks and length": post
        + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1\r\nZ\r\nQ\r\n\r\n",
        "chunked by another name": post
        + b"Content-Length: 4\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n"
        + SMUGGLED,
        "no end of chunks": chunked + b"1\r\n{\r\n" * 100,
        "no end of a chunk's size": chunked + b"0" * 200_000,
        "no end of a chunk's extension": chunked + b"1;" + b"a=b;" * 50_000,
        "no end of trailers": chunked + b"0\r\n" + b"A: b\r\n" * 20_000,
        "a header without end": get + b"A: " + b"a" * 200_000,
        "a header of 100 kB": get + b"A: " + b"a" * 100_000 + b"\r\n\r\n",
        "20,000 headers": get + b"".join(b"A%d: b\r\n" % at for at in range(20_000)) + b"\r\n",
        "a target of 200 kB": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "a method of 100 kB": b"A" * 100_000,
        "only line ends": b"\r\n" * 100_000,
        "NULs": bytes(5000),
        "NUL in a header": get + b"A: b\x00c\r\n\r\n",
        "control bytes in a header": get + b"A: \x01\x7f\x1b[31m\r\n\r\n",
        "folded header": get + b"A: b\r\n\tc\r\n\r\n",
        "HTTP/0.9": b"GET /models\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        "TLS": tls_hello(),
        "CONNECT": b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n",
        "SOCKS": b"\x05\x01\x00",
        "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "PROXY": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get + b"\r\n",
        "a length too small": post + b"Content-Length: 1\r\n\r\n" + door.body,
        "a length too large": post + b"Content-Length: 9999\r\n\r\n" + door.body,
        "a body before its time": b"{}" * 1000 + get + b"\r\n",
    }


def outcome(door: Door, case: str, data: bytes) -> str:
    """What was answered, or how it ended; raises AssertionError for what may not be."""
    patience = 0.0
    if case in UNFINISHED_HEADS:
        patience = door.patience
    elif case in UNFINISHED_BODIES:
        patience = door.body_patience
    may_wait = patience is None
    answers: list[Answer] = []
    with door.opened(WITHOUT_LIMIT if may_wait else patience + AT_ONCE) as (sock, client):
        with contextlib.suppress(OSError):
            sock.sendall(data)
        try:
            while answer := client.read():
                answers.append(answer)
                if len(answers) > 1 or answer.status < 400:
                    break
                client.allow(ONE_MORE)
        except HangError:
            if not answers:
                if may_wait:
                    return "waits"
                raise
    for answer in answers:
        assert answer.status < 300 or answer.status in REFUSED, answer.raw[:300]
        for leak in LEAKS:
            assert leak not in answer.body.replace(b"smuggled", b""), answer.body[:300]
    return " ".join(str(answer.status) for answer in answers) or "closed"


def slow(door: Door, sent: int, patience: float | None) -> None:
    """Many requests, `sent` bytes at once and some more one by one; those must end in time."""
    request = door.request(body=door.body + b" " * 100)
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(door.opened(120)) for _ in range(CONNECTIONS)]
        for sock, _ in opened:
            sock.sendall(request[:sent])
        for at in range(sent, sent + 4):
            door.check()
            for sock, _ in opened:
                with contextlib.suppress(OSError):
                    sock.sendall(request[at : at + 1])
        if patience:
            for _, client in opened:
                client.allow(patience + AT_ONCE)
                answer = client.read()
                assert answer is None or answer.status in (400, 408)


class AttackedPort:
    """Needs a fixture `door`."""

    @pytest.fixture(autouse=True)
    def good(self, door):
        door.check()
        yield
        door.check()

    def test_what_is_no_sound_http(self, door, record_property):
        cases = unsound(door)

        def tried(case: str) -> str:
            try:
                return outcome(door, case, cases[case])
            except AssertionError as error:
                return f"{type(error).__name__}: {error}"

        with ThreadPoolExecutor(16) as pool:
            outcomes = dict(zip(cases, pool.map(tried, cases), strict=True))
        print("\n".join(f"{case}: {what}" for case, what in outcomes.items()))
        record_property("outcomes", outcomes)
        assert not {case: what for case, what in outcomes.items() if "Error" in what}

    def test_many_slow_heads(self, door):
        """Unfinished heads, each sent on byte by byte, take nothing from good requests."""
        slow(door, 60, door.patience)

    def test_many_slow_bodies(self, door):
        slow(door, len(door.request(body=door.body + b" " * 100)) - 90, door.body_patience)

    def test_many_idle_connections(self, door):
        with contextlib.ExitStack() as stack:
            for _ in range(CONNECTIONS):
                stack.enter_context(door.opened())
            door.check()

    def test_pipeline_of_good_and_bad(self, door):
        """Each answer belongs to its request, in their order."""
        made = []
        for at in range(12):
            good = door.request(X_Request_Id=f"in-turn-{at}")
            bad = door.request(body=b'{"', X_Request_Id=f"in-turn-{at}")
            nowhere = door.request("GET", "/nowhere-at-all", b"", X_Request_Id=f"in-turn-{at}")
            made.append(((good, 200), (bad, 400), (nowhere, 404), (good, 200))[at % 4])
        with door.opened() as (sock, client):
            # uvicorn answers nothing of what came together with something unsound.
            end = b"\x00\r\n\r\n" if door.tells_ids else b""
            sock.sendall(b"".join(request for request, _ in made) + end)
            for at, (_, status) in enumerate(made):
                answer = client.read()
                assert answer is not None, f"closed after {at} answers"
                assert answer.status == status, (at, answer.raw[:300])
                if door.tells_ids:
                    assert answer.headers["x-request-id"] == f"in-turn-{at}"
                if status == 200:
                    assert door.answer in answer.body
            if end:
                assert client.read().status in REFUSED

    @pytest.mark.parametrize("is_announced", [True, False])
    def test_more_than_the_largest_body(self, door, is_announced):
        if door.body_limit is None:
            pytest.skip("bodies have no limit here")
        size = max(door.body_limit // MIB + 1, 100)
        piece = b" " * MIB
        framing = {"Content_Length": str(size * MIB)} if is_announced else {}
        head = door.request(body=b"", **framing)
        if not is_announced:
            head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            piece = b"100000\r\n" + piece + b"\r\n"
        with door.opened(60) as (sock, client):
            with contextlib.suppress(OSError):
                sock.sendall(head)
                for _ in range(size):
                    sock.sendall(piece)
            answer = client.read()
        assert answer.status == 413
        assert json.loads(answer.body)["error_code"] == "INVALID_PARAMETER_VALUE"

    def test_bodies_that_are_not_what_they_should_be(self, door):
        bomb = gzip.compress(bytes(100 * MIB))
        statuses = {
            **{body[:20]: door.ask(door.request(body=body)).status for body in BODIES},
            "bomb": door.ask(door.request(body=bomb, Content_Encoding="gzip")).status,
        }
        print(statuses)
        assert not [
            status for status in statuses.values() if status >= 500 and status not in door.faults
        ]

    def test_resets(self, door):
        """Resets in the middle of a head, of a body and of an answer."""
        request = door.request()
        for length in (10, len(request) - 10, len(request)) * (30 if FULL else 10):
            with door.opened() as (sock, _):
                sock.sendall(request[:length])
                reset(sock)
        large = door.request(body=door.body + b" " * MIB)
        for _ in range(5):
            with door.opened() as (sock, _):
                sock.sendall(large[: len(large) // 2])
                reset(sock)

    def test_older_and_other_forms_of_a_request(self, door):
        with door.opened(versions=("HTTP/1.0", "HTTP/1.1")) as (sock, client):
            sock.sendall(door.request(version="1.0"))
            assert client.read().status == 200
        with door.opened() as (sock, client):
            sock.sendall(door.request(Expect="100-continue"))
            assert client.read().status == 200
        absolute = f"http{'s' if door.tls else ''}://{door.name}{door.path}"
        with door.opened() as (sock, client):
            sock.sendall(door.request(path=absolute))
            answer = client.read()
            assert answer.status in (200, *REFUSED)
