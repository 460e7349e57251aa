"""How much of a body is read."""

import asyncio
import gzip
import zlib

import pytest

from tracking_server.http import bodies
from tracking_server.http.bodies import Bodies

LIMIT = 1000
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/1/big.bin"
TRACES = "/v1/traces"


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


class Reading:
    """Reads all, then answers 200."""

    body = None

    async def __call__(self, _, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self.body = body
        await send({"type": "http.response.start", "status": 200, "headers": []})


class Careless(Reading):
    """Has an answer of its own for whatever goes wrong."""

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        except Exception:
            await send({"type": "http.response.start", "status": 400, "headers": []})


def ask(inner, pieces, path="/api/2.0/mlflow/runs/create", method="POST", **headers) -> int:
    left = list(pieces)

    async def receive():
        if not left:
            await asyncio.sleep(3600)
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left) or body == b"first"}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(Bodies(inner, LIMIT)(scope, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize("inner", [Reading(), Careless()])
def test_a_body_above_the_limit_is_not_read(inner):
    assert ask(inner, [b"x" * 500, b"x" * 500]) == 200
    assert ask(inner, [b"x" * 500, b"x" * 501]) == 413
    assert ask(inner, [], content_length="1001") == 413


def test_an_artifact_may_be_of_any_size():
    inner = Reading()
    assert ask(inner, [b"x" * 5000], ARTIFACT, "PUT", content_length="5000") == 200
    assert len(inner.body) == 5000
    assert ask(inner, [b"x" * 5000], ARTIFACT, "POST") == 413


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate])
def test_packed_traces_count_as_what_they_unpack_to(pack):
    how = "gzip" if pack is gzip.compress else "deflate"
    inner = Reading()
    small, bomb = pack(b"x" * LIMIT), pack(b"x" * (LIMIT + 1))
    assert ask(inner, [small[:7], small[7:]], TRACES, content_encoding=how) == 200
    assert inner.body == small
    assert ask(inner, [bomb], TRACES, content_encoding=how) == 413
    assert ask(inner, [bomb], f"{TRACES}/", content_encoding=how.upper()) == 413


def test_members_of_gzip_count_together():
    inner = Reading()
    half = gzip.compress(b"x" * 600)
    assert ask(inner, [half], TRACES, content_encoding="gzip") == 200
    assert ask(inner, [half + half], TRACES, content_encoding="gzip") == 413


@pytest.mark.parametrize("how", ["gzip", "deflate", "br"])
def test_what_cannot_be_unpacked_is_mlflows_matter(how):
    assert ask(Reading(), [b"no such thing"], TRACES, content_encoding=how) == 200


def test_a_body_that_stops_coming_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)
    for inner in (Reading(), Careless()):
        assert ask(inner, [b"first"]) == 408


def test_other_failures_stay_what_they_are():
    async def inner(*_):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        ask(inner, [b""])


@pytest.mark.parametrize("declared", [True, False])
def test_large_bodies_are_held_one_after_another(monkeypatch, declared):
    monkeypatch.setattr(bodies, "SMALL", 10)
    inner, sent, held = Reading(), [], []

    async def together():
        app = Bodies(inner, LIMIT)

        async def one():
            pieces = [b"x" * 300, b"x" * 300]

            async def receive():
                held.append(app._room._taken)
                body = pieces.pop(0)
                return {"type": "http.request", "body": body, "more_body": bool(pieces)}

            async def send(message):
                sent.append(message)

            headers = [(b"content-length", b"600")] if declared else []
            scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
            await app(scope, receive, send)

        await asyncio.gather(*(one() for _ in range(8)))
        assert app._room._taken == 0

    asyncio.run(together())
    assert [message["status"] for message in sent] == [200] * 8
    assert max(held) <= LIMIT


def test_a_body_that_finds_no_room_is_a_503(monkeypatch):
    monkeypatch.setattr(bodies, "SMALL", 10)
    monkeypatch.setattr(bodies, "ROOM_PATIENCE", 0.01)
    inner = Bodies(Reading(), LIMIT)
    inner._room._taken = LIMIT
    sent = []

    async def receive():
        raise AssertionError("nothing is read")

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": TRACES,
        "headers": [(b"content-length", b"500")],
    }
    asyncio.run(inner(scope, receive, send))
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"5"
