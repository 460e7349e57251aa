"""Puts the parts together and runs them until a signal."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator

import uvicorn

from model_server.following.cache import Cache
from model_server.following.deployments import Deployments
from model_server.following.fetch import Fetcher
from model_server.following.follower import Follower
from model_server.following.registry import Registry
from model_server.front.app import App, quoted
from model_server.settings import Settings
from model_server.workers import process

log = logging.getLogger(__name__)

KEEP_ALIVE = 75
"""Seconds that an idle connection stays; longer than clients and proxies keep theirs."""


class _Uvicorn(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again after its shutdown, and so end with
    a signal's exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Raises OSError when the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except OSError:
        sock.close()
        raise
    return sock


async def serve(settings: Settings, sock: socket.socket, cache: Cache) -> None:
    """Until SIGTERM or SIGINT: then finish the requests that run, and end every process."""
    os.environ["MODEL_SERVER_LOG_LEVEL"] = settings.log_level
    credentials = process.prepare(settings.threads)
    process.prepare_ahead()
    fetcher = Fetcher(settings.tracking_uri, credentials, settings.fetch_timeout)
    registry = (
        Registry(settings.tracking_uri, credentials, settings.alias)
        if settings.tracking_uri
        else None
    )
    deployments = Deployments(settings, cache, fetcher, quoted)
    follower = Follower(registry, settings.wanted, cache, deployments, settings.poll)
    server = _Uvicorn(
        uvicorn.Config(
            App(settings, deployments, follower),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.grace)),
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server, number)
    host, port = sock.getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port, "pid": os.getpid()})
    following = asyncio.create_task(_follow(follower, server))
    try:
        await server.serve(sockets=[sock])
    finally:
        following.cancel()
        await asyncio.wait([following])
        await deployments.close()
        if registry:
            await registry.close()
        log.info("stopped")
    if not following.cancelled() and (error := following.exception()):
        raise error


def _stop(server: uvicorn.Server, number: int) -> None:
    log.info("stopping", extra={"signal": signal.Signals(number).name})
    server.should_exit = True


async def _follow(follower: Follower, server: uvicorn.Server) -> None:
    """A server that no longer follows must not look healthy: end it, loudly."""
    try:
        await follower.run()
    except Exception:
        log.exception("following the registry failed")
        server.should_exit = True
        raise
