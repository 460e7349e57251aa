"""An answer that is given before the body has come is the connection's last."""

import asyncio
import itertools

import pytest

from tracking_server.http import unread
from tracking_server.http.unread import Unread, has_body


class Refusing:
    """Answers 401, and reads nothing."""

    async def __call__(self, _scope, _receive, send):
        head = {"type": "http.response.start", "status": 401, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": b"no"})


class Reading(Refusing):
    async def __call__(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await super().__call__(scope, receive, send)


def ask(inner, pieces, **headers) -> tuple[list[dict], int]:
    """What is sent, and how many pieces were read. After the last, the client says nothing."""
    coming = iter(pieces)
    read, sent = [], []

    async def receive():
        if read:
            await asyncio.sleep(0.001)
        body = next(coming, None)
        if body is None:
            await asyncio.sleep(3600)
        read.append(body)
        return {"type": "http.request", "body": body, "more_body": body != b"last"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(asyncio.wait_for(Unread(inner)(scope, receive, send), 5))
    return sent, len(read)


def closes(sent) -> bool:
    return (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize("size", [{"content_length": "9"}, {"transfer_encoding": "chunked"}])
def test_who_holds_the_body_back_is_answered_at_once_and_closed(size, monkeypatch):
    monkeypatch.setattr(unread, "SILENCE", 0.01)
    sent, _ = ask(Refusing(), [b"first"], **size)
    assert closes(sent)
    assert [message.get("body") for message in sent[1:]] == [b"no", None]
    assert [message.get("more_body", False) for message in sent[1:]] == [True, False]


def test_what_still_comes_is_dropped_for_a_while_and_no_longer(monkeypatch):
    monkeypatch.setattr(unread, "PATIENCE", 0.1)
    pieces = itertools.repeat(b"more")
    sent, dropped = ask(Refusing(), pieces, content_length="999999")
    assert closes(sent)
    assert dropped > 1


def test_a_body_that_has_come_keeps_the_connection():
    for inner in (Reading(), Refusing()):
        sent, read = ask(inner, [b"last"], content_length="9")
        assert not closes(sent)
        assert read == 1
        assert len(sent) == 2


def test_who_waits_to_go_on_is_not_told_to(monkeypatch):
    """The server says so as soon as it is asked for the body."""
    monkeypatch.setattr(unread, "SILENCE", 0.01)
    order = []

    async def noting(scope, receive, send):
        await Refusing()(scope, receive, send)
        order.append("answered")

    async def run():
        async def receive():
            order.append("read")
            await asyncio.sleep(3600)

        async def send(message):
            order.append(message["type"])

        scope = {
            "type": "http",
            "headers": [(b"content-length", b"9"), (b"expect", b"100-continue")],
        }
        await Unread(noting)(scope, receive, send)

    asyncio.run(run())
    assert order.index("read") > order.index("http.response.start")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"1")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_body_is_known_by_the_head(headers, expected):
    assert has_body({"type": "http", "headers": headers}) is expected


def test_without_a_body_nothing_changes():
    sent, _ = ask(Refusing(), [])
    assert not closes(sent)
    assert len(sent) == 2
