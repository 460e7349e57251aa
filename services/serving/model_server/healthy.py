"""A container's health check: asks the running server, every few seconds, so it imports next to
nothing."""

import argparse
import http.client
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from typing import TextIO

TIMEOUT_SECONDS = 3
"""For all of the answer; less than Compose waits, so that the reason is told."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """No other page says anything of this server."""

    def redirect_request(self, *_: object) -> None:
        return None


def healthy(arguments: list[str]) -> int:
    """Exit status 0 when the server answers and knows what to serve, else 1 and why. A model that
    is missing is told, but no fault of the server: on a fresh stack it can be trained only once
    everything is up."""
    parser = argparse.ArgumentParser("model-server healthy", description="Ask a running server.")
    parser.add_argument("--host", default=os.environ.get("SERVING_HOST") or "127.0.0.1")
    parser.add_argument("--port", default=os.environ.get("SERVING_PORT") or "8080")
    asked = parser.parse_args(arguments)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(asked.host, asked.host)  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    url = f"http://{host}:{asked.port}/readyz"
    # Never by a proxy, which would ask another machine; under a name that every server knows.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    request = urllib.request.Request(url, headers={"Host": "localhost"})
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(TIMEOUT_SECONDS)
    try:
        with direct.open(request):
            return 0
    except urllib.error.HTTPError as refused:
        try:
            return _judge(refused.read())
        except (OSError, http.client.HTTPException) as error:
            return _fail(f"{url}: {error!r}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _fail(f"{url}: {error!r}" if not str(error) else f"{url}: {error}")


def _late(*_: object) -> None:
    raise TimeoutError(f"no whole answer within {TIMEOUT_SECONDS} s")


def _judge(answer: bytes) -> int:
    """The reason in a /readyz that is not 200."""
    text = answer[:2000].decode(errors="replace")
    try:
        unready = json.loads(answer)
        knows, failing = unready["knows"], unready["failing"].items()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _fail(text)
    if not knows:
        return _fail(text)
    for name, problem in failing:
        _say(f"{name} is not served: {problem}", sys.stdout)
    return 0


def _fail(line: str) -> int:
    _say(line, sys.stderr)
    return 1


def _say(line: str, to: TextIO) -> None:
    """Whatever the terminal's encoding."""
    encoding = to.encoding or "ascii"
    shown = line.encode(encoding, "backslashreplace").decode(encoding)
    print(f"model-server: {shown}", file=to)
