"""One object of the bucket, asked about in threads of its own kind: MLflow's wait for none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

THREADS = ThreadPoolExecutor(16, "s3")

T = TypeVar("T")


def in_thread(call: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
    """Call it in one of these."""
    return asyncio.wrap_future(THREADS.submit(call, *arguments))


class Place(NamedTuple):
    """Where an object lies, or will.

    client: gives boto3's. owner: arguments of every call about it; made: those of what makes it.
    """

    client: Callable[[], Any]
    bucket: str
    key: str
    owner: dict[str, Any]
    made: dict[str, Any]

    def ask(self, call: str, **arguments: Any) -> Any:
        """Do it, and wait for the bucket."""
        function = getattr(self.client(), call)
        return function(Bucket=self.bucket, Key=self.key, **self.owner, **arguments)

    def some_made(self, names: Collection[str]) -> dict[str, Any]:
        """The arguments of what makes it that a call takes, too."""
        return {name: value for name, value in self.made.items() if name in names}
