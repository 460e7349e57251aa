"""The command `model-server`: serve, ask whether a running one is healthy, check versions, or keep
its tokens."""

import os
import sys
import urllib.error
import urllib.request

import msgspec
import uvloop

from model_server import check as every_version
from model_server import log as logs
from model_server import server, settings, token_command
from model_server.following.cache import Cache, CacheError

# One line a version is what the user is to see: of this process's children, too. What a first try
# raised is no line of its own: either another environment mends it, or the version's line says it.
QUIET = {
    "MODEL_SERVER_LOG_LEVEL": "CRITICAL",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "PYTHONWARNINGS": "ignore",
}


class _Unready(msgspec.Struct):
    knows: bool
    failing: dict[str, str]


def run(arguments: list[str]) -> int:
    """The exit status: 0, or 1 after one line on what is wrong."""
    logs.configure("INFO")
    if arguments[:1] == ["healthy"]:
        return healthy(arguments[1:])
    if arguments[:1] == ["check"]:
        return check(arguments[1:])
    if arguments[:1] == ["tokens"]:
        return token_command.run(arguments[1:])
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
        cache = Cache(options.cache, options.registry, options.cache_limit * settings.MIB)
    except CacheError as error:
        return _fail(f"SERVING_CACHE: {error}")
    uvloop.run(server.serve(options, sock, cache))
    cache.close()
    return 0


def check(arguments: list[str]) -> int:
    """Whether every registered version loads: exit status 0 if all do."""
    try:
        options = settings.load(arguments)
    except settings.SettingsError as error:
        return _fail(str(error))
    logs.configure("CRITICAL")
    os.environ |= QUIET
    return every_version.check(options)


def healthy(arguments: list[str]) -> int:
    """Answer a container's health check: exit status 0 when the server answers and knows what to
    serve, else 1 and why. A model that is missing is told, but no fault of the server: on a fresh
    stack it can be trained only once everything is up."""
    try:
        options = settings.load(arguments)
    except settings.SettingsError as error:
        return _fail(str(error))
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    url = f"http://{host}:{options.port}/readyz"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Host": "localhost"})  # known to every server
    try:
        with direct.open(request, timeout=5):
            return 0
    except urllib.error.HTTPError as error:
        return _judge(error.read())
    except OSError as error:
        return _fail(f"{url}: {error}")


def _judge(answer: bytes) -> int:
    """The reason in a /readyz that is not 200."""
    text = answer[:2000].decode(errors="replace")
    try:
        unready = msgspec.json.decode(answer, type=_Unready)
    except msgspec.DecodeError:
        return _fail(text)
    if not unready.knows:
        return _fail(text)
    for name, problem in unready.failing.items():
        print(f"model-server: {name} is not served: {problem}")
    return 0


def _fail(line: str) -> int:
    print(f"model-server: {line}", file=sys.stderr)
    return 1
