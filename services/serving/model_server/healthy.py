"""A container's health check: asks the running server, every few seconds, so it imports next to
nothing."""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 5


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
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Host": "localhost"})
    try:
        with direct.open(request, timeout=TIMEOUT_SECONDS):
            return 0
    except urllib.error.HTTPError as error:
        return _judge(error.read())
    except (OSError, ValueError) as error:  # a port that is no number, too
        return _fail(f"{url}: {error}")


def _judge(answer: bytes) -> int:
    """The reason in a /readyz that is not 200."""
    text = answer[:2000].decode(errors="replace")
    try:
        unready = json.loads(answer)
        knows, failing = unready["knows"], unready["failing"].items()
    except (ValueError, LookupError, TypeError, AttributeError):
        return _fail(text)
    if not knows:
        return _fail(text)
    for name, problem in failing:
        print(f"model-server: {name} is not served: {problem}")
    return 0


def _fail(line: str) -> int:
    print(f"model-server: {line}", file=sys.stderr)
    return 1
