"""Hostile requests, each made from a number alone: what is sent, and how."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from tests.integration.serving.hostile import bodies
from tests.integration.serving.hostile.targets import Target

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
MIB = 2**20
BOMB = gzip.compress(b"0" * 50 * MIB, mtime=0)

CONTENT_TYPES = (
    *("text/csv", "application/vnd.apache.parquet", "text/html", "application/jsonp", "json", ""),
    *("application/json; charset=latin-1", "application/json; charset=utf-16", "application/*"),
    *("application/json; charset=", "application/json;;;", "application/json; charset=utf-8; x=y"),
    *("APPLICATION/JSON", "application/json, text/csv", "application/json; format=pandas-split"),
    *("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "a" * 9000, "/;=,"),
    *("application/octet-stream", "text/csv; charset=ebcdic", 'application/json; charset="utf-8'),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "PURGE")
PATHS = (
    *("//", "/..", "/../../etc/passwd", "/models", "/models/", "/models//invocations", "/models/."),
    *("/models/%00/invocations", "/models/%2e%2e%2f%2e%2e/invocations", "/models/%/invocations"),
    *("/models/wine/invocations/", "//invocations", "/invocations%00", "/invocations?x=%00&y=[]"),
    *("/invocations;x=1", "/INVOCATIONS", "/models/wine%0d%0ax:1/invocations", "/models/%ff%fe"),
    *(
        "/models/" + "a" * 50_000,
        "/" + "a/" * 20_000,
        "/?" + "a=b&" * 10_000,
        "/models/%F0%9F%92%A9",
    ),
    *("/models/%252e%252e/invocations", "/models/%C0%AF", "/v2/models/wine/versions/-1/infer"),
    *("/v2/models/wine/versions/99999999999999999999/ready", "/v2/models/wine/versions/1%2F/infer"),
    *("/v2/models//infer", "/v2/models/%00", "/v2//health/live", "/v2/repository/index/", "/v2/"),
    *("/metrics?x=1", "/openapi.json?", "/livez/..", "/readyz#x", "/ping", "/version", "/health"),
    *("/models/{name}", "/models/${jndi:ldap:x}", "/models/<script>", "/models/'%20OR%201=1--"),
    *("/.env", "/.git/config", "/docs", "/favicon.ico", "*", "http://evil.test/invocations"),
    *("/v2/models/{name}/infer", "/v2", "/v2/health/live", "/v2/health/ready", "/openapi.json"),
)
MANAGEMENT = (
    *(("PUT", "/models/wine"), ("PUT", "/models/new"), ("DELETE", "/models/wine")),
    *(("POST", "/v2/repository/models/wine/load"), ("POST", "/v2/repository/models/wine/unload")),
    *(("PUT", "/models/%2e%2e%2f"), ("DELETE", "/models/nobody"), ("PUT", "/models/a?wait=1e9")),
)
TOKENS = (
    *("", "Bearer", "Bearer ", "Bearer x", "bearer null", "Basic YTpi", "Bearer " + "a" * 5000),
    *("Bearer hostile-token-012345678", "Digest x=y", "Bearer hostile-token-0123456789x"),
)
"""None is right."""
HEADERS: tuple[tuple[str, str], ...] = (
    *(
        ("Host", ""),
        ("Host", "evil.test"),
        ("Host", "localhost:80:80"),
        ("Host", "[::1"),
        ("Host", "@"),
    ),
    *(("Host", "localhost, evil.test"), ("Host", "127.0.0.1:99999999999"), ("Host", "a" * 9000)),
    *(
        ("Origin", "http://evil.test"),
        ("Origin", "null"),
        ("Origin", "http://[::1"),
        ("Origin", ""),
    ),
    *(("Origin", "http://localhost@evil.test"), ("Origin", "a" * 9000), ("Cookie", "a=b; " * 5000)),
    *(
        ("X-Request-Id", "a" * 5000),
        ("X-Request-Id", "a b"),
        ("X-Request-Id", "ä"),
        ("Range", "bytes=0-"),
    ),
    *(("X-Request-Id", '"}{'), ("traceparent", "00-" + "0" * 32), ("traceparent", "\xff" * 55)),
    *(("traceparent", "ff-" + "A" * 32 + "-" + "b" * 16 + "-01"), ("tracestate", "=,=," * 1000)),
    *(("Expect", "100-continue"), ("Expect", "200-ok"), ("Connection", "close, keep-alive, x")),
    *(("Connection", "Content-Length"), ("Keep-Alive", "timeout=-1"), ("Accept", "text/nothing")),
    *(("Upgrade", "websocket"), ("Upgrade", "h2c"), ("X-Http-Method-Override", "DELETE")),
    *(("X-Forwarded-Host", "evil.test"), ("Accept-Encoding", "gzip;q=nan"), ("Via", "x" * 30_000)),
    *(("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Encoding", "identity")),
    *(
        ("Te", "trailers"),
        ("Trailer", "Content-Length"),
        ("If-None-Match", "*"),
        ("Max-Forwards", "0"),
    ),
)
FRAMINGS: tuple[bytes, ...] = (
    *(
        b"Content-Length: -1",
        b"Content-Length: +2",
        b"Content-Length: 2, 2",
        b"Content-Length: 0x2",
    ),
    *(
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: " + b"9" * 30,
        b"Content-Length:",
    ),
    *(b"Content-Length: 2 2", b"Content-Length: 1e1", b"Content-Length: 9223372036854775808"),
    *(b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: xchunked"),
    *(b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding : chunked", b"No-Colon"),
    *(
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding:\x0bchunked",
        b"A: \x00",
        b"\x00: a",
    ),
    *(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Host: localhost", b": empty"),
    *(b"A: b\r\n folded: c", b" A: b", b"A\x7f: b", b"A: b\nB: c", b"A: b\rB: c", b"A(: b"),
)
CHUNKS: tuple[bytes, ...] = (
    *(b"zz\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n", b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n"),
    *(
        b"2;" + b"a" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}x\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
    ),
    *(b"2\n{}\n0\n\n", b"2\r\n{}\r\n0\r\nContent-Length: 99\r\n\r\n", b"2\r\n{}\r\n00000\r\n\r\n"),
    *(
        b"1\r\n{\r\n" * 2000 + b"0\r\n\r\n",
        b"0\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"2 \r\n{}\r\n0\r\n\r\n",
    ),
)
START_LINES: tuple[bytes, ...] = (
    *(b"GET /models", b"GET  /models  HTTP/1.1", b"get /models HTTP/1.1", b"GET /models HTTP/2.0"),
    *(
        b"GET /models HTTP/1.10",
        b"GET /models HTTP/0.9",
        b"GET /models http/1.1",
        b"GET\t/\tHTTP/1.1",
    ),
    *(
        b"GET /mo\x00dels HTTP/1.1",
        b"GET /mo dels HTTP/1.1",
        "GET /ä☃ HTTP/1.1".encode(),
        b"\x16\x03\x01",
    ),
    *(
        b"GET /\xff\xfe HTTP/1.1",
        b"CONNECT evil.test:443 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET",
        b"\x00",
    ),
    *(b"A" * 100_000 + b" / HTTP/1.1", b"GET models HTTP/1.1", b"GET / HTTP/1.1 x", b"\r\n\r\nx"),
)


@dataclass(frozen=True)
class Attack:
    kind: str
    parts: Sequence[bytes]
    """Sent one after another."""
    method: str = ""
    path: str = ""
    """Empty where it is not sound HTTP, and nothing was asked."""
    answers: int = 1
    """Number that must come; with 0 the server may also just close."""
    pause: float = 0.0
    """Seconds between two parts, unless an answer has come."""
    then: Literal["read", "shut", "vanish"] = "read"
    """`shut`: half close, then read. `vanish`: reset the connection."""
    request_id: str = ""
    """Request id that its answer must have; empty for any."""
    mark: str = ""
    """Shown in its data, and in no other's."""


def attack(seed: int, number: int, targets: Sequence[Target]) -> Attack:
    """The same for the same arguments."""
    random = Random(f"{seed}-{number}")
    (make,) = random.choices(list(_KINDS), list(_KINDS.values()))
    mark = f"canary-{number}-"
    made = make(random, random.choice(targets), mark)
    return replace(made, kind=make.__name__.strip("_"), mark=mark)


def _request(
    mark: str,
    method: str,
    path: str,
    body: bytes = b"",
    *headers: tuple[str, str],
    content_type: str | None = JSON,
) -> Attack:
    """Sound HTTP; further headers replace what has their names here."""
    fields = {
        "Host": "localhost",
        "X-Request-Id": mark,
        **({"Content-Type": content_type} if content_type is not None else {}),
        **({"Content-Length": str(len(body))} if body or method in ("POST", "PUT") else {}),
        **dict(headers),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("latin-1")
    head = f"{method} {path} HTTP/1.1\r\n".encode("latin-1") + lines + b"\r\n"
    kept = mark if fields["X-Request-Id"] == mark else ""
    return Attack("", (head + body,), method, path, request_id=kept)


def _good(random: Random, target: Target) -> tuple[str, dict]:
    """A good request's path and body."""
    if random.random() < 0.5:
        return target.path, random.choice(target.mlflow_bodies())
    return target.v2_path, random.choice(target.v2_bodies())


def _odd_parts(random: Random, target: Target, mark: str) -> Attack:
    path, body = _good(random, target)
    return _request(mark, "POST", path, bodies.with_odd_parts(random, body))


def _odd_bytes(random: Random, target: Target, mark: str) -> Attack:
    path, body = _good(random, target)
    return _request(mark, "POST", path, bodies.with_odd_bytes(random, bodies.written(body)))


def _other_encodings(random: Random, target: Target, mark: str) -> Attack:
    path, body = _good(random, target)
    return _request(mark, "POST", path, bodies.in_other_encodings(random, bodies.written(body)))


def _odd_tables(random: Random, target: Target, mark: str) -> Attack:
    kind, body = random.choice(((CSV, target.csv()), (PARQUET, target.parquet())))
    body = bodies.with_odd_bytes(random, body)
    return _request(mark, "POST", target.path, body, content_type=kind)


def _own_marks(random: Random, _: Target, mark: str) -> Attack:
    """Data that shows up in its own answer, and may in no other."""
    count = random.choice((1, 5, 500))
    body = {"dataframe_split": {"columns": ["act"], "data": [[mark]] * count}}
    return _request(mark, "POST", "/models/chameleon/invocations", bodies.written(body))


def _large_bodies(random: Random, target: Target, mark: str) -> Attack:
    if random.random() < 0.2:
        body = bodies.large_csv(random, target.csv())
        return _request(mark, "POST", target.path, body, content_type=CSV)
    path, body = _good(random, target)
    return _request(mark, "POST", path, bodies.large(random, body))


def _padded_tables(random: Random, target: Target, mark: str) -> Attack:
    """Few bytes that make many cells."""
    body, kind = random.choice(
        (
            (bodies.a_name_each(), JSON),
            (bodies.one_long_row(), JSON),
            (bodies.one_long_line(), CSV),
            (bodies.equal_rows(), PARQUET),
        )
    )
    return _request(mark, "POST", target.path, body, content_type=kind)


def _tiny_chunks(random: Random, target: Target, _: str) -> Attack:
    """Small objects in great numbers, where each chunk is kept by itself."""
    head = f"POST {target.path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"2\r\n[[\r\n" * random.choice((1_000, 100_000))
    return Attack("", (head.encode(), chunks, b"0\r\n\r\n"))


def _content_types(random: Random, target: Target, mark: str) -> Attack:
    path, body = _good(random, target)
    kind = random.choice((*CONTENT_TYPES, None))
    return _request(mark, "POST", path, bodies.written(body), content_type=kind)


def _bombs(random: Random, target: Target, mark: str) -> Attack:
    path, _ = _good(random, target)
    encoding = ("Content-Encoding", random.choice(("gzip", "deflate", "gzip, gzip", "zstd")))
    body = random.choice((BOMB, BOMB[:1000], gzip.compress(b'{"inputs": [[1, 2, 3, 4]]}')))
    return _request(mark, "POST", path, body, encoding)


def _paths(random: Random, target: Target, mark: str) -> Attack:
    path = random.choice((*PATHS, *_good(random, target)[:1]))
    method = random.choice(METHODS)
    return _request(mark, method, path, random.choice((b"", b"", b"{}")))


def _headers(random: Random, target: Target, mark: str) -> Attack:
    path, body = random.choice((_good(random, target), ("/models", None)))
    headers = random.sample(HEADERS, random.choice((1, 1, 2, 5)))
    content = b"" if body is None else bodies.written(body)
    return _request(mark, "POST" if body else "GET", path, content, *headers)


def _many_headers(random: Random, _: Target, mark: str) -> Attack:
    count = random.choice((50, 500, 20_000))
    headers = [(f"X-{at}", "b" * random.randrange(20)) for at in range(count)]
    return _request(mark, "GET", "/models", b"", *headers)


def _management(random: Random, _: Target, mark: str) -> Attack:
    method, path = random.choice(MANAGEMENT)
    body = random.choice(
        (b"", b"{}", b'{"uri": "models:/wine/1"}', b'{"uri": "file:///etc"}', b"\xff")
    )
    headers = [] if random.random() < 0.3 else [("Authorization", random.choice(TOKENS))]
    return _request(mark, method, path, body, *headers)


def _framings(random: Random, target: Target, _: str) -> Attack:
    head = f"POST {target.path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    head += random.choice(FRAMINGS) + b"\r\n\r\n"
    return Attack("", (head, b"{}"), answers=0, then="shut")


def _chunks(random: Random, target: Target, _: str) -> Attack:
    head = f"POST {target.path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Attack("", (head.encode(), random.choice(CHUNKS)), answers=0, then="shut")


def _start_lines(random: Random, _: Target, __: str) -> Attack:
    line = random.choice((*START_LINES, random.randbytes(random.randrange(1, 3000))))
    return Attack("", (line + b"\r\nHost: localhost\r\n\r\n",), answers=0, then="shut")


def _wrong_lengths(random: Random, target: Target, _: str) -> Attack:
    path, body = _good(random, target)
    content = bodies.written(body)
    length = random.choice((0, 1, len(content) - 1, len(content) + 1, len(content) + 5000))
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    return Attack("", (head.encode(), content), answers=0, then="shut")


def _pipelines(random: Random, target: Target, mark: str) -> Attack:
    """Good, bad and unsound together: what came before the unsound one is answered."""
    count = random.choice((2, 5, 40))
    made = [random.choice((_odd_parts, _odd_bytes, _own_marks))(random, target, mark)]
    made += [_odd_parts(random, target, mark) for _ in range(count - 1)]
    stream = b"".join(part for one in made for part in one.parts)
    end = random.choice((b"", b"", b"garbage\r\n\r\n"))
    answers = count + bool(end)
    if random.random() < 0.3:
        step = len(stream) // random.choice((2, 3, 7)) + 1
        cut = [stream[at : at + step] for at in range(0, len(stream), step)]
        return Attack("", (*cut, end), answers=answers, pause=0.01)
    then = random.choice(("read", "read", "shut", "vanish"))
    return Attack("", (stream + end,), answers=answers if then == "read" else 0, then=then)


def _half_sent(random: Random, target: Target, mark: str) -> Attack:
    """Cut anywhere, and the client is gone, or only listens."""
    whole = b"".join(_odd_parts(random, target, mark).parts)
    part = whole[: random.randrange(1, len(whole) + 1)]
    return Attack("", (part,), answers=0, then=random.choice(("shut", "vanish")))


def _half_closed(random: Random, target: Target, mark: str) -> Attack:
    return replace(_odd_parts(random, target, mark), then="shut")


def _slow(random: Random, target: Target, mark: str) -> Attack:
    """Stops anywhere, or goes on byte by byte: the server's own time limit ends it."""
    made = _own_marks(random, target, mark)
    whole = made.parts[0]
    start = whole[: random.randrange(1, len(whole) - 100)]
    rest = whole[len(start) : len(start) + 90]
    parts = random.choice(((start,), (start, *(rest[at : at + 1] for at in range(90)))))
    return Attack("", parts, pause=0.1)


def _far_too_large(random: Random, target: Target, mark: str) -> Attack:
    """100 MiB, announced or not."""
    piece = random.choice((b" ", b"[", b"9")) * MIB
    if random.random() < 0.5:
        framing, parts = ("Content-Length", str(100 * MIB)), [piece] * 100
    else:
        framing, parts = ("Transfer-Encoding", "chunked"), [b"100000\r\n" + piece + b"\r\n"] * 100
        parts.append(b"0\r\n\r\n")
    head = "".join(
        f"{name}: {value}\r\n"
        for name, value in (("Host", "localhost"), ("X-Request-Id", mark), framing)
    )
    start = f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode()
    return Attack("", (start, *parts), "POST", target.path, request_id=mark)


_KINDS: dict[Callable[[Random, Target, str], Attack], float] = {
    _odd_parts: 33,
    _odd_bytes: 12,
    _other_encodings: 4,
    _odd_tables: 7,
    _own_marks: 4,
    _large_bodies: 1,
    _padded_tables: 1,
    _tiny_chunks: 0.5,
    _content_types: 4,
    _bombs: 1,
    _paths: 7,
    _headers: 6,
    _many_headers: 0.5,
    _management: 3,
    _framings: 3,
    _chunks: 2,
    _start_lines: 3,
    _wrong_lengths: 2,
    _pipelines: 3,
    _half_sent: 2,
    _half_closed: 2,
    _slow: 1.2,
    _far_too_large: 0.3,
}
"""Weights: about how often each comes, of a hundred."""
