"""Steady load from a few clients, with every answer kept."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Sample:
    at: float
    """time.monotonic() when the answer was there."""
    status: int
    version: str
    prediction: object


class Load:
    """`with Load(url, content) as load:` asks without pause from `clients` threads."""

    def __init__(self, url: str, content: dict, clients: int = 4) -> None:
        self.samples: list[Sample] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(url, content)) for _ in range(clients)
        ]

    def _ask(self, url: str, content: dict) -> None:
        with httpx.Client(timeout=60) as http:
            while not self._stop.is_set():
                try:
                    answer = http.post(url, json=content)
                    body = answer.json()
                    prediction = body.get("predictions", body)
                    version = answer.headers.get("x-model-version", "")
                    sample = Sample(time.monotonic(), answer.status_code, version, prediction)
                except httpx.HTTPError as error:
                    sample = Sample(time.monotonic(), 0, "", repr(error))
                self.samples.append(sample)

    def first(self, version: str, since: float) -> float | None:
        """Seconds from `since` to the first answer of `version` after it."""
        times = [s.at for s in list(self.samples) if s.version == version and s.at > since]
        return min(times) - since if times else None

    def failures(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.status != 200]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
