"""Objects on their way from the bucket to a client: a few pieces at a time, and no copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

from tracking_server.artifacts.place import THREADS, Place

PIECE = 2**20

Answer = dict[str, Any]
"""What boto3 makes of the bucket's answer. `Body` is bytes where it is one piece."""


async def fetch(place: Place, **wanted: str) -> Answer:
    """Ask for an object. What `pieces` makes of the answer must be read to its end, or closed."""
    call = THREADS.submit(_fetch, place, wanted)
    try:
        return await asyncio.wrap_future(call)
    except asyncio.CancelledError:
        call.add_done_callback(_drop)
        raise


async def pieces(body: Any) -> AsyncIterator[bytes]:
    """Read an object, one piece ahead. Raises where the bucket's answer ends before its length."""
    coming = THREADS.submit(body.read, PIECE)
    try:
        while piece := await asyncio.wrap_future(coming):
            coming = THREADS.submit(body.read, PIECE)
            yield piece
    finally:
        # Once no thread reads. A connection whose answer was read to its end is kept.
        coming.add_done_callback(lambda _: body.close())


def _fetch(place: Place, wanted: dict[str, str]) -> Answer:
    answer: Answer = place.ask("get_object", **wanted)
    if answer["ContentLength"] <= PIECE:
        answer["Body"] = answer["Body"].read()
    return answer


def _drop(call: Future[Answer]) -> None:
    if not call.cancelled() and call.exception() is None:
        body = call.result()["Body"]
        if not isinstance(body, bytes):
            body.close()
