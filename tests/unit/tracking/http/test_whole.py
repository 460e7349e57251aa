"""A head leaves with the first piece of its body."""

import asyncio

import pytest

from tracking_server.http.whole import Whole

HEAD = {"type": "http.response.start", "status": 200, "headers": []}
PIECES = [{"type": "http.response.body", "body": b"1", "more_body": more} for more in (True, False)]


def sent_by(messages) -> list[list[str]]:
    """What has been sent after each message of an application that ends by an error."""
    sent, then = [], []

    async def send(message):
        sent.append(message)

    async def app(_scope, _receive, answer):
        for message in messages:
            await answer(message)
            then.append(list(sent))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        asyncio.run(Whole(app)({"type": "http"}, None, send))
    return then


def test_pieces_pass_as_they_come_and_the_head_with_the_first():
    first, last = PIECES
    assert sent_by([HEAD, first, last]) == [[], [HEAD, first], [HEAD, first, last]]


def test_an_application_that_fails_after_its_head_has_sent_nothing():
    """So that the server says 500."""
    assert sent_by([HEAD]) == [[]]
