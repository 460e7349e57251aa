"""Steady load from a few clients, with every answer kept."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Sample:
    asked: float
    """time.monotonic() when the request was sent."""
    answered: float
    status: int
    version: str
    prediction: object


class Load:
    """Asks without pause from `clients` threads: `with Load(url, content) as load:`."""

    def __init__(self, url: str, content: dict, clients: int = 4) -> None:
        self.samples: list[Sample] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(url, content)) for _ in range(clients)
        ]

    def _ask(self, url: str, content: dict) -> None:
        with httpx.Client(timeout=60) as http:
            while not self._stop.is_set():
                asked = time.monotonic()
                try:
                    answer = http.post(url, json=content)
                    body = answer.json()
                    prediction = body.get("predictions", body)
                    version = answer.headers.get("x-model-version", "")
                    status = answer.status_code
                except httpx.HTTPError as error:
                    status, version, prediction = 0, "", repr(error)
                answered = time.monotonic()
                self.samples.append(Sample(asked, answered, status, version, prediction))

    def first(self, version: str, since: float) -> float | None:
        """Seconds from `since` to the first answer of `version` to a request sent after it: one
        sent before may still be answered by a version that is on its way out."""
        times = [s.answered for s in list(self.samples) if s.version == version and s.asked > since]
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
