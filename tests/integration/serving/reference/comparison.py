"""Requests sent, answers compared."""

from __future__ import annotations

import http.client
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.integration.serving.reference.variations import Request

TOLERANCE = 1e-12
"""Floats' tolerance: relative, and absolute below 1."""
TIMEOUT = 60
"""Seconds for an answer."""


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.body[:300].decode(errors='replace')}"

    @property
    def error_code(self) -> str | None:
        """None in plain text."""
        try:
            return json.loads(self.body).get("error_code")
        except (ValueError, AttributeError):
            return None


@dataclass(frozen=True)
class Address:
    """Place where a model is asked for predictions."""

    port: int
    path: str = "/invocations"

    def in_turn(self, requests: Mapping[str, Request]) -> dict[str, Answer]:
        """Each once the one before is answered; on connections of their own, since the reference
        drops them at its internal errors."""
        return {case: self._one(request) for case, request in requests.items()}

    def at_once(self, requests: Mapping[str, Request], burst: int) -> dict[str, Answer]:
        """`burst` bodies are sent, one right after the other, before the first answer is read."""
        connections = [self._connection() for _ in range(burst)]
        answers = {}
        for cases in _batches(requests, burst):
            sent = list(zip(cases, connections, strict=False))
            for case, connection in sent:
                self._send_head(connection, requests[case])
            for case, connection in sent:
                connection.send(requests[case][0])
            for case, connection in sent:
                answers[case] = _answer(connection)
        for connection in connections:
            connection.close()
        return answers

    def _one(self, request: Request) -> Answer:
        connection = self._connection()
        try:
            self._send_head(connection, request)
            connection.send(request[0])
            return _answer(connection)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def _send_head(self, connection: http.client.HTTPConnection, request: Request) -> None:
        body, headers = request
        connection.putrequest("POST", self.path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders()


def _answer(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    return Answer(response.status, response.headers.get_content_type(), response.read())


def _batches(cases: Mapping[str, Request], size: int) -> Iterator[list[str]]:
    remaining = iter(cases)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def agree(theirs: Answer, ours: Answer) -> bool:
    """Whether DESIGN's rule holds: 200s have the same content, others the same status and code."""
    if theirs.status != ours.status:
        return False
    if theirs.status == 200:
        return theirs.content_type == ours.content_type and same(
            json.loads(theirs.body), json.loads(ours.body)
        )
    # The reference answers a 415 and its internal errors in plain text.
    return theirs.error_code is None or theirs.error_code == ours.error_code


def same(theirs: object, ours: object) -> bool:
    """Parsed JSON: NaN equals NaN, 1 is neither 1.0 nor true, floats have their tolerance."""
    if type(theirs) is not type(ours):
        return False
    match theirs:
        case dict():
            return theirs.keys() == ours.keys() and all(
                same(value, ours[key]) for key, value in theirs.items()
            )
        case list():
            return len(theirs) == len(ours) and all(map(same, theirs, ours))
        case float():
            close = math.isclose(theirs, ours, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            return close or (math.isnan(theirs) and math.isnan(ours))
    return theirs == ours
