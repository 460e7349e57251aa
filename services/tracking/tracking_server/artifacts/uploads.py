"""Files on their way into the bucket while they still arrive: whole in the end, or not at all.

A small one is one object put at once; of a larger one, S3 takes parts, which become an object when
all are there. Until then, what lay under its name stays.
"""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_all
from io import BytesIO
from typing import IO, Any, cast

import anyio
from s3transfer.upload import UploadSubmissionTask  # type: ignore[import-untyped]  # has none

from tracking_server.artifacts.place import THREADS, Place

logger = logging.getLogger(__name__)

MIB = 2**20
PART = 8 * MIB
MOST_PARTS = 10_000
PARTS_AT_ONCE = 3
"""Parts of one upload that are sent while the next one fills."""
SMALL = MIB // 4
"""Bytes of a part that wait in memory whatever else does."""
IN_MEMORY = threading.Semaphore(12)
"""Larger parts that wait in memory, of all uploads of this process; others wait on the disk."""
ENDING = ThreadPoolExecutor(2, "abort")
"""Where broken uploads wait for their parts, and so not where these are sent."""


async def upload(place: Place, pieces: AsyncIterator[bytes], length: int | None) -> None:
    """Store what comes: `length` bytes, where that is known. If it raises, nothing is stored."""
    size = PART if length is None else max(PART, math.ceil(length / MOST_PARTS))
    parts, part = _Parts(place), _Part()
    try:
        async for piece in pieces:
            rest = memoryview(piece)
            while rest:
                if part.size == size:
                    full, part = part, _Part()
                    await parts.send(full)
                taken = rest[: size - part.size]
                part.write(taken)
                rest = rest[len(taken) :]
        await parts.finish(part)
    except BaseException:
        with anyio.CancelScope(shield=True):  # MLflow's middleware cancels again and again
            await asyncio.wrap_future(ENDING.submit(parts.abort))
        raise
    finally:
        part.close()


class _Part:
    """What has come of a part, in memory or on the disk."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] = BytesIO()
        self._counts = False  # among those in memory

    def write(self, piece: memoryview) -> None:
        self.size += len(piece)
        if self.size > SMALL and not self._counts and isinstance(self._file, BytesIO):
            self._counts = IN_MEMORY.acquire(blocking=False)
            if not self._counts:
                begun, self._file = self._file, tempfile.TemporaryFile()  # noqa: SIM115
                self._file.write(begun.getvalue())
        self._file.write(piece)

    def body(self) -> bytes | IO[bytes]:
        """As boto3 takes it. Bytes are sent the fastest, and these are no copy."""
        if isinstance(self._file, BytesIO):
            return self._file.getvalue()
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()
        if self._counts:
            IN_MEMORY.release()
            self._counts = False


class _Parts:
    """The parts of one object that are in the bucket, or on their way."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._upload: Future[str] | None = None
        self._sent: list[Future[str]] = []
        self._whole: Future[None] | None = None

    async def send(self, part: _Part) -> None:
        """Begin to send it, once few others are on their way. Raises what went wrong with one."""
        if self._upload is None:
            self._upload = THREADS.submit(self._create)
            await asyncio.wrap_future(self._upload)
        if len(self._sent) >= PARTS_AT_ONCE:
            await asyncio.wrap_future(self._sent[-PARTS_AT_ONCE])
        sent = THREADS.submit(self._put_part, len(self._sent) + 1, part)
        sent.add_done_callback(lambda _: part.close())
        self._sent.append(sent)

    async def finish(self, part: _Part) -> None:
        """Send the last one, and make all of them the object."""
        if self._upload is None:
            self._whole = THREADS.submit(self._put, part)
        else:
            await self.send(part)
            for sent in self._sent[-PARTS_AT_ONCE:]:
                await asyncio.wrap_future(sent)
            self._whole = THREADS.submit(self._complete)
        await asyncio.wrap_future(self._whole)

    def abort(self) -> None:
        """Leave nothing of it in the bucket, unless it is whole by now."""
        calls: list[Future[Any] | None] = [self._upload, *self._sent, self._whole]
        wait_for_all([call for call in calls if call is not None])
        if _failed(self._upload) or not _failed(self._whole):
            return
        try:
            self._of_upload("abort_multipart_upload")
        except Exception:
            logger.exception("parts of %s may be left in the bucket", self._place.key)

    def _put(self, part: _Part) -> None:
        self._place.ask("put_object", Body=part.body(), **self._place.made)

    def _create(self) -> str:
        return str(self._place.ask("create_multipart_upload", **self._place.made)["UploadId"])

    def _put_part(self, number: int, part: _Part) -> str:
        made = self._place.some_made(UploadSubmissionTask.UPLOAD_PART_ARGS)
        sent = self._of_upload("upload_part", PartNumber=number, Body=part.body(), **made)
        return str(sent["ETag"])

    def _complete(self) -> None:
        made = self._place.some_made(UploadSubmissionTask.COMPLETE_MULTIPART_ARGS)
        tags = [{"PartNumber": n, "ETag": part.result()} for n, part in enumerate(self._sent, 1)]
        self._of_upload("complete_multipart_upload", MultipartUpload={"Parts": tags}, **made)

    def _of_upload(self, call: str, **arguments: Any) -> Any:
        upload = cast("Future[str]", self._upload).result()
        return self._place.ask(call, UploadId=upload, **arguments)


def _failed(call: Future[Any] | None) -> bool:
    """Whether a call that has ended did nothing."""
    return call is None or call.cancelled() or call.exception() is not None
