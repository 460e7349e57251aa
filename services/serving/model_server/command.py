"""The command `model-server`: serve, check versions, or keep tokens."""

import os
import sys

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


def run(arguments: list[str]) -> int:
    """The exit status: 0, or 1 after one line on what is wrong."""
    logs.configure("INFO")
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


def _fail(line: str) -> int:
    print(f"model-server: {line}", file=sys.stderr)
    return 1
