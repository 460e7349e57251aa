"""One line for each refusal, and an overload does not fill the disk."""

import asyncio
import logging

import pytest

from model_server.errors import error_body, without_values
from model_server.front.exchange import Exchange
from model_server.front.refusals import Refusals, is_noted
from model_server.log import A_SECOND

BODY = error_body("TEMPORARILY_UNAVAILABLE", "Not now.")


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def note(refusals: Refusals, number: int, url: bytes = b"/invocations") -> None:
    exchange = Exchange(None)
    exchange.url = url
    exchange.headers = {b"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode()}
    exchange.request_id = f"id-{number}"
    exchange.model = "wine"
    refusals.note(exchange, 503, BODY)


def test_line_says_what_was_refused_and_why(caplog):
    async def run():
        note(Refusals(), 1, b"/models/" + b"x" * 10_000)

    asyncio.run(run())
    (line,) = caplog.records
    assert (line.levelno, line.message) == (logging.WARNING, "request refused")
    assert (line.request_id, line.model, line.status) == ("id-1", "wine", 503)
    assert line.trace_id == TRACE
    assert (line.error_code, line.reason) == ("TEMPORARILY_UNAVAILABLE", "Not now.")
    assert len(line.path) == 300


def test_overload_is_counted_instead(caplog):
    async def run():
        refusals = Refusals()
        for number in range(1000):
            note(refusals, number)
        assert len(caplog.records) == A_SECOND
        await asyncio.sleep(1.2)
        note(refusals, 1000)

    asyncio.run(run())
    *lines, dropped, again = caplog.records
    assert [line.request_id for line in lines] == [f"id-{n}" for n in range(A_SECOND)]
    assert (dropped.message, dropped.count) == ("more requests refused", 1000 - A_SECOND)
    assert again.request_id == "id-1000"


@pytest.mark.parametrize(
    ("status", "noted"),
    [(200, False), (400, False), (404, False), (408, True), (413, True), (429, True), (500, True)],
)
def test_what_the_client_did_wrong_leaves_no_line(status, noted):
    assert is_noted(status) is noted


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("could not convert string to float: 'secret'", "could not convert string to float"),
        (
            "column a to type 'float64'. Error: 'ValueError(\"secret\")'",
            "column a to type 'float64'",
        ),
        ('Error parsing datetime string "secret" at position 0', "Error parsing datetime string"),
        (
            "Can not convert `str` to `double` for value `secret`",
            "Can not convert `str` to `double`",
        ),
        ("must be a scalar, got `['secret']`", "must be a scalar"),
        ("Model is missing inputs ['a']. Extra inputs: ['b'].",) * 2,
    ],
)
def test_values_of_a_request_are_left_out(message, told):
    assert without_values(message) == told
