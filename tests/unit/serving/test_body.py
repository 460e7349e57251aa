"""Bodies within limits of size, time and memory."""

import asyncio

import pytest

from model_server.errors import RefusedError
from model_server.front import body
from model_server.front.body import BodyReader, DisconnectedError


def feed(*parts: bytes, closed: bool = False, endless: bool = False):
    """An ASGI receive: the parts, then the end of the request or of the connection, or silence."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if closed:
        messages.append({"type": "http.disconnect"})
    elif not endless:
        messages[-1]["more_body"] = False

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


def read(reader: BodyReader, receive, length: bytes | None = None) -> bytes:
    return asyncio.run(reader.read(receive, length))


def refused(reader: BodyReader, receive, length: bytes | None = None) -> int:
    with pytest.raises(RefusedError) as caught:
        read(reader, receive, length)
    return caught.value.status


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(body, "PATIENCE", 0.05)
    return BodyReader(limit=10, timeout=0.1, buffer_limit=15)


def test_pieces_become_one_body(reader):
    assert read(reader, feed(b"one")) == b"one"
    assert read(reader, feed(b"one", b"", b"two")) == b"onetwo"


def test_exactly_the_limit_is_allowed(reader):
    assert read(reader, feed(b"x" * 10), b"10") == b"x" * 10


def test_too_long_by_its_length_or_by_its_pieces(reader):
    assert refused(reader, feed(b"x" * 11), b"11") == 413
    assert refused(reader, feed(b"x" * 6, b"x" * 6)) == 413
    assert refused(reader, feed(b"x" * 6, b"x" * 6, endless=True)) == 413
    assert refused(reader, feed(b"x" * 11)) == 413


def test_silence_is_not_waited_out(reader):
    assert refused(reader, feed(b"x", endless=True), b"10") == 408
    assert refused(reader, feed(endless=True), b"10") == 408


def test_length_that_is_no_number(reader):
    assert refused(reader, feed(b"x"), b"ten") == 400


def test_client_that_leaves(reader):
    for parts in ((), (b"x",)):
        with pytest.raises(DisconnectedError):
            read(reader, feed(*parts, closed=True), b"10")


def test_memory_of_all_bodies_is_bounded_and_given_back(reader):
    first = read(reader, feed(b"x" * 10))
    assert refused(reader, feed(b"x" * 6), b"6") == 429
    assert refused(reader, feed(b"x" * 3, b"x" * 3)) == 429
    reader.release(len(first))
    assert read(reader, feed(b"x" * 9)) == b"x" * 9
