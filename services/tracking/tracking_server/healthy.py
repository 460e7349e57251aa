"""The container's health check: asks the running server, imports next to nothing."""

from __future__ import annotations

import http.client
import os
import signal
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 3
"""For all of the answer; less than Compose waits, so that the reason is told."""

# Never by a proxy, whatever the environment says: it would ask another machine.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def healthy() -> int:
    """0 when /readyz says ready; else 1, having printed why."""
    port = os.environ.get("TRACKING_PORT") or "5000"
    host = os.environ.get("TRACKING_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(TIMEOUT_SECONDS)
    try:
        try:
            _direct.open(f"http://{host}:{port}/readyz").close()
        except urllib.error.HTTPError as error:
            text = error.read(1000).decode(errors="replace")
            print(text.encode("ascii", "backslashreplace").decode())
            return 1
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"no answer on port {port}: {error!r}")
        return 1
    return 0


def _late(*_: object) -> None:
    raise TimeoutError(f"no whole answer within {TIMEOUT_SECONDS} s")
