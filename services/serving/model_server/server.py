"""Puts the parts together and runs them until a signal."""

import asyncio
import logging
import os
import resource
import signal
import socket

from model_server import metrics
from model_server.confinement.quarters import reason, tidy
from model_server.environments.environments import Environments
from model_server.following.cache import Cache
from model_server.following.deployments import Deployments
from model_server.following.fetch import Fetcher
from model_server.following.follower import Follower
from model_server.following.loader import Loader
from model_server.following.registry import Registry
from model_server.front import management, openapi, v2
from model_server.front.app import App
from model_server.front.http1 import Limits
from model_server.front.listener import Listener
from model_server.front.tokens import Tokens
from model_server.processes import process
from model_server.processes.prctl import conceal
from model_server.settings import Settings, tracking_login

log = logging.getLogger(__name__)

SPARE_FILES = 512
"""Descriptors that are kept for the server's own files and processes."""
LEAST = 64
"""Connections, however few descriptors there are."""


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


def prepare(settings: Settings) -> dict[str, str]:
    """Get ready to fork workers; returns the credentials for tracking, which they do not get."""
    conceal()
    tidy(settings)
    if lacks := reason(settings):
        log.warning("models are not confined, or not wholly", extra={"reason": lacks})
    credentials = process.prepare(settings.blas_threads, settings.worker_variables)
    process.prepare_ahead()
    return credentials | tracking_login(settings)


def application(
    settings: Settings, deployments: Deployments, follower: Follower, tokens: Tokens
) -> App:
    """Every route of the server, and its guard."""
    routes = [
        *management.routes(settings, follower, deployments),
        *v2.routes(settings, follower, deployments),
        *openapi.routes(settings, deployments),
    ]
    return App(settings, deployments, follower, tokens, routes)


async def serve(settings: Settings, sock: socket.socket, cache: Cache) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that run, and end every process."""
    os.environ["MODEL_SERVER_LOG_LEVEL"] = settings.log_level
    credentials = prepare(settings)
    fetcher = Fetcher(settings.tracking_uri, credentials, settings.fetch_timeout)
    registry = (
        Registry(settings.registry, credentials, settings.alias) if settings.registry else None
    )
    environments = Environments(settings, credentials)
    loader = Loader(settings, cache, fetcher, environments)
    deployments = Deployments(loader, settings.default)
    follower = Follower(registry, settings.wanted, cache, deployments, settings.poll)
    app = application(settings, deployments, follower, Tokens(settings))
    state = metrics.State(deployments.wanted, lambda: not app.failing(), settings.cache)
    metrics.registry.register(state)
    limits = Limits(
        body=settings.body_limit,
        buffer=settings.buffer_limit,
        connections=max(LEAST, _open_files() - SPARE_FILES),
        head_seconds=settings.header_timeout,
        body_seconds=settings.body_timeout,
    )
    listener = Listener(limits, app.admit_body, app.handle)
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, end, number)
    await listener.start(sock)
    host, port = sock.getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port, "pid": os.getpid()})
    following = asyncio.create_task(_follow(follower, end))
    try:
        await end.wait()
    finally:
        await listener.stop(settings.grace)
        following.cancel()
        await asyncio.wait([following])
        await deployments.close()
        if registry:
            await registry.close()
        log.info("stopped")
    if not following.cancelled() and (error := following.exception()):
        raise error


def _open_files() -> int:
    """Ask for as many descriptors as this process can get. Returns how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 2**20


def _stop(end: asyncio.Event, number: int) -> None:
    log.info("stopping", extra={"signal": signal.Signals(number).name})
    end.set()


async def _follow(follower: Follower, end: asyncio.Event) -> None:
    """A server that no longer follows must not look healthy: end it, loudly."""
    try:
        await follower.run()
    except Exception:
        log.exception("following the registry failed")
        end.set()
        raise
