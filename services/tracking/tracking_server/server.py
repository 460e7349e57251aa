"""The processes: one gunicorn parent that imports MLflow once, workers forked from it."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from uvicorn_worker import UvicornWorker

from tracking_server import app
from tracking_server.settings import Settings
from tracking_server.temporary import TemporaryFolder

MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - for heartbeats, which must not wait for a disk


class Worker(UvicornWorker):
    """One event loop. No forwarded header is believed, no server named."""

    CONFIG_KWARGS = {  # noqa: RUF012 - the base class's attribute
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "on",
        "proxy_headers": False,
        "server_header": False,
    }


class Server(BaseApplication):
    """The tracking server under gunicorn; `run()` returns never, it exits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._temporary = TemporaryFolder()
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_settings(self._settings).items():
            self.cfg.set(name, value)
        self.cfg.set("when_ready", lambda _: _freeze())
        self.cfg.set("on_exit", lambda _: self._temporary.remove())

    def load(self):
        # What is made now lives as long as the server: looking for garbage in it takes an
        # eighth of the start, and in a worker it would copy the pages shared with the parent.
        gc.disable()
        return app.build(self._settings)


def gunicorn_settings(settings: Settings) -> dict[str, Any]:
    """Everything that is not gunicorn's default, whatever the environment says."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": [f"{host}:{settings.port}"],
        "workers": settings.workers,
        "worker_class": Worker,
        "preload_app": True,
        # A worker reports from its event loop, so that a long upload is no reason to kill it.
        "timeout": 60,
        "graceful_timeout": settings.grace,
        # Longer than the pools of clients and proxies keep an idle connection.
        "keepalive": 75,
        "control_socket_disable": True,
        "forwarded_allow_ips": "",
        "worker_tmp_dir": MEMORY_FOLDER if os.access(MEMORY_FOLDER, os.W_OK) else None,
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "info",
    }


def serve(settings: Settings) -> None:
    """Serve until told to stop; the environment must be applied already."""
    if not settings.on_s3:
        Path(settings.artifact_store).mkdir(parents=True, exist_ok=True)
    Server(settings).run()


def _freeze() -> None:
    """Keep the collector off everything that the parent has made, from here on."""
    gc.freeze()
    gc.enable()
