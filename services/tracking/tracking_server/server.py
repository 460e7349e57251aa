"""The processes: one gunicorn parent that imports MLflow once, workers forked from it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio.to_thread
from gunicorn.app.base import BaseApplication
from gunicorn.sock import TCPSocket
from starlette.types import ASGIApp
from uvicorn_worker import UvicornWorker

from tracking_server import app, garbage
from tracking_server.backend import connections
from tracking_server.errors import RefusedError
from tracking_server.http.whole import Protocol
from tracking_server.logins import accounts
from tracking_server.metrics.counts import Counts
from tracking_server.settings import Settings
from tracking_server.temporary import TemporaryFolder

REUSE_PORT = sys.platform == "linux"  # elsewhere it does not spread connections
KEEP_ALIVE = 75
"""Seconds that an idle connection stays; longer than clients and proxies keep theirs."""
LAST_SECONDS = 5
"""Seconds that workers get to end after the grace, before they are killed."""
MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - for what must not wait for a disk


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn_worker brings no types
    """One event loop. No forwarded header is believed, no server named."""

    CONFIG_KWARGS = {  # noqa: RUF012 - the base class's attribute
        "loop": "uvloop",
        "http": Protocol,
        "lifespan": "on",
        "proxy_headers": False,
        "server_header": False,
    }

    share = connections.WITHOUT_LIMIT

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Cancel what is still answered at the end of the grace, so that it leaves nothing."""
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout - LAST_SECONDS

    async def _serve(self) -> None:
        """Run no more threads than there are connections for."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self.share.background))
        anyio.to_thread.current_default_thread_limiter().total_tokens = self.share.threads
        await super()._serve()

    def init_process(self) -> None:
        """Listen on sockets of the worker's own, besides those that all workers share.

        Of a shared socket the first worker to wake takes every connection of a burst, and keeps
        them: the others idle. Between sockets of one address, the kernel spreads connections.
        """
        if self.cfg.reuse_port:
            self.sockets: list[Any] = [*self.sockets, *map(_beside, self.sockets)]
        super().init_process()


class Server(BaseApplication):
    """The tracking server under gunicorn; `run()` returns never, it exits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._temporary = TemporaryFolder()
        self._counts = Counts(_memory()) if settings.metrics_port else None
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn all that is not its default."""
        for name, value in gunicorn_settings(self._settings).items():
            self.cfg.set(name, value)
        self.cfg.set("when_ready", lambda _: garbage.look_for())
        if self._settings.logins:
            self.cfg.set("post_fork", lambda _, __: accounts.after_fork())
        self.cfg.set("child_exit", lambda _, worker: self._bury(worker.pid))
        self.cfg.set("on_exit", lambda _: self._remove())

    def load(self) -> ASGIApp:
        """Make the application, which the workers inherit."""
        return app.build(self._settings, self._counts)

    def _bury(self, pid: int) -> None:
        if self._counts:
            from tracking_server.metrics.counted import WORKER_EXITS

            WORKER_EXITS.inc()
            self._counts.bury(pid)

    def _remove(self) -> None:
        self._temporary.remove()
        if self._counts:
            self._counts.remove()


def gunicorn_settings(settings: Settings) -> dict[str, Any]:
    """Everything that is not gunicorn's default, whatever the environment says."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": [f"{host}:{port}" for port in _ports(settings).values()],
        "workers": settings.workers,
        "worker_class": Worker,
        "reuse_port": REUSE_PORT,
        "preload_app": True,
        # A worker reports from its event loop, so that a long upload is no reason to kill it.
        "timeout": 60,
        "graceful_timeout": settings.grace + LAST_SECONDS,
        "keepalive": KEEP_ALIVE,
        "control_socket_disable": True,
        "forwarded_allow_ips": "",
        "worker_tmp_dir": _memory(),
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "info",
    }


def serve(settings: Settings) -> None:
    """Serve until told to stop; the environment must be applied already."""
    for name, port in _ports(settings).items():
        _refuse_used_port(settings.host, name, port)
    Worker.share = connections.share(settings)
    os.environ["MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"] = str(Worker.share.pool)
    if not settings.on_s3:
        Path(settings.artifact_store).mkdir(parents=True, exist_ok=True)
    Server(settings).run()


def _beside(listener: TCPSocket) -> socket.socket:
    """Another listening socket at the same address."""
    own = socket.socket(listener.sock.family)
    for option in (socket.SO_REUSEPORT, socket.SO_REUSEADDR):  # as gunicorn sets on its own
        own.setsockopt(socket.SOL_SOCKET, option, 1)
    own.bind(listener.sock.getsockname())
    own.listen(listener.conf.backlog)
    return own


def _ports(settings: Settings) -> dict[str, int]:
    """The ports to listen on, each with the name of its setting."""
    ports = {"TRACKING_PORT": settings.port, "TRACKING_METRICS_PORT": settings.metrics_port}
    return {name: port for name, port in ports.items() if port}


def _memory() -> str | None:
    """A folder in memory, None where the machine has none."""
    return MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK) else None


def _refuse_used_port(host: str, name: str, port: int) -> None:
    """Refuse a port in use: by SO_REUSEPORT two servers would share it, and mix answers."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise RefusedError(
            f"cannot listen on TRACKING_HOST={host}, {name}={port}: {error.strerror}"
        ) from None
