"""Whether the server can do its work now: the database answers, artifacts can be stored."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import JSONResponse

from tracking_server.backend import schema, stores
from tracking_server.backend.stores import Database
from tracking_server.errors import RefusedError, UnreachableError
from tracking_server.settings import Settings

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2
# A check has its own timeouts; this one is for what they miss, such as a paused server.
ANSWER_SECONDS = 4
CACHE_SECONDS = 1

Check = Callable[[], None]


class Readiness:
    """Runs the checks at most once a second, together, outside the event loop.

    A check that still hangs is not started again, so that a dead dependency costs one
    thread and not one for each question.
    """

    def __init__(self, checks: dict[str, Check], facts: dict[str, str]) -> None:
        """`facts` are told where all is well."""
        self._checks = checks
        self._facts = facts
        self._threads = ThreadPoolExecutor(len(checks), thread_name_prefix="readiness")
        self._running: dict[str, asyncio.Future[None]] = {}
        self._lock = asyncio.Lock()
        self._failing: dict[str, str] = {}
        self._checked_at = float("-inf")

    async def failing(self) -> dict[str, str]:
        """What fails and why, in words fit for anyone; empty when all is well."""
        async with self._lock:
            if time.monotonic() - self._checked_at > CACHE_SECONDS:
                reasons = await asyncio.gather(*map(self._reason, self._checks))
                failing = {
                    name: reason
                    for name, reason in zip(self._checks, reasons, strict=True)
                    if reason
                }
                if failing != self._failing:
                    logger.warning("readiness: %s", failing or "all well again")
                self._failing, self._checked_at = failing, time.monotonic()
            return self._failing

    async def well(self) -> dict[str, bool]:
        """Whether each dependency is as it should be, by name."""
        failing = await self.failing()
        return {name: name not in failing for name in self._checks}

    async def endpoint(self, _: Request) -> JSONResponse:
        """Answer GET /readyz."""
        headers = {"Cache-Control": "no-store"}
        if failing := await self.failing():
            body = {"status": "unavailable", "failing": failing}
            return JSONResponse(body, status_code=503, headers=headers)
        return JSONResponse({"status": "ready", **self._facts}, headers=headers)

    async def _reason(self, name: str) -> str | None:
        running = self._running.get(name)
        if running is None or running.done():
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads, self._checks[name])
            self._running[name] = running
        try:
            await asyncio.wait_for(asyncio.shield(running), ANSWER_SECONDS)
        except TimeoutError:
            return "no answer in time"
        except (UnreachableError, RefusedError) as error:
            logger.info("readiness: %s: %s", name, error)
            return error.reason
        except Exception:
            logger.exception("readiness: %s", name)
            return "check failed, see the server's log"
        return None


def checks(settings: Settings, head: str) -> dict[str, Check]:
    """The checks that the settings call for; `head` is the schema that MLflow needs."""
    return {
        "backend store": _database(stores.open_store(settings), head),
        "artifact store": _bucket(settings) if settings.on_s3 else _folder(settings),
        **_logins(settings),
    }


def _logins(settings: Settings) -> dict[str, Check]:
    if not settings.logins:
        return {}
    return {"logins": _database(stores.open_logins(settings), schema.logins().head)}


def _database(store: Database, head: str) -> Check:
    def check() -> None:
        revision = store.revision(CHECK_SECONDS)
        if revision != head:
            raise UnreachableError("its schema is not this server's", str(revision))

    return check


def _bucket(settings: Settings) -> Check:
    from tracking_server.artifacts.bucket import Bucket

    return Bucket(settings, CHECK_SECONDS).there


def _folder(settings: Settings) -> Check:
    def check() -> None:
        try:
            with tempfile.TemporaryFile(dir=settings.artifact_store) as probe:
                probe.write(b"1")
                probe.flush()
        except OSError as error:
            raise UnreachableError("cannot write to the folder", str(error.strerror)) from None

    return check
