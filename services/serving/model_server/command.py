"""The command `model-server`: serve, or ask whether a running one is healthy."""

import sys
import urllib.error
import urllib.request

import uvloop

from model_server import log as logs
from model_server import server, settings
from model_server.cache import Cache, CacheError


def run(arguments: list[str]) -> int:
    """The exit status: 0, or 1 after one line on what is wrong."""
    logs.configure("INFO")
    if arguments[:1] == ["healthy"]:
        return healthy(arguments[1:])
    try:
        options = settings.load(arguments)
        logs.configure(options.log_level)
        sock = server.listen(options.host, options.port)
    except settings.SettingsError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(
            f"SERVING_HOST, SERVING_PORT: cannot listen on {options.host}:{options.port}: "
            f"{error.strerror}"
        )
    try:
        cache = Cache(options.cache, options.tracking_uri)
    except CacheError as error:
        return _fail(f"SERVING_CACHE: {error}")
    uvloop.run(server.serve(options, sock, cache))
    cache.close()
    return 0


def healthy(arguments: list[str]) -> int:
    """For a container's health check: exit status 0 when live and ready, else 1 and why."""
    try:
        options = settings.load(arguments)
    except settings.SettingsError as error:
        return _fail(str(error))
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)  # noqa: S104
    for probe in ("livez", "readyz"):
        url = f"http://{host}:{options.port}/{probe}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                pass
        except urllib.error.HTTPError as error:
            return _fail(error.read(2000).decode(errors="replace"))
        except OSError as error:
            return _fail(f"{url}: {error}")
    return 0


def _fail(line: str) -> int:
    print(f"model-server: {line}", file=sys.stderr)
    return 1
