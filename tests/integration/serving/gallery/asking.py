"""One model asked twice: the reference and this server, alone and among others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.integration.serving.reference.comparison import Address, agree
from tests.integration.serving.reference.variations import Requests

BURST = 32
"""Requests that are sent before the first answer is read."""


def differences(reference: Address, ours: Address, requests: Requests) -> list[str]:
    """What a client would notice, in words. Where the reference answers 500 to a client's mistake,
    ours may be a 4xx. Raises AssertionError if no request was answered at all."""
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(at.in_turn, requests) for at in (reference, ours)]
        theirs, alone = (answers.result() for answers in asked)
    together = ours.at_once(requests, BURST)
    assert any(answer.status == 200 for answer in theirs.values()), "the reference refuses all"
    return [
        f"{case}\n    theirs: {theirs[case]}\n      ours: {alone[case]}"
        for case in requests
        if not agree(theirs[case], alone[case])
        and not (theirs[case].status >= 500 and 400 <= alone[case].status < 500)
    ] + [
        f"{case}\n     alone: {alone[case]}\n   at once: {together[case]}"
        for case in requests
        if not agree(alone[case], together[case])
    ]
