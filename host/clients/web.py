"""Calls to the stack's own addresses: JSON over HTTP, past any proxy."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_AUTHORIZATION: dict[str, str] = {}
LOGIN: dict[str, str] = {}
"""MLflow's variables for the same login, for programs that are started."""


def enter(authorization: Mapping[str, str], certificate: Path | None) -> None:
    """Send this Authorization header to each address from now on, and trust `certificate`, too."""
    global _OPENER
    context = ssl.create_default_context()
    if certificate:
        context.load_verify_locations(certificate)
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    _OPENER = urllib.request.build_opener(*handlers)
    _AUTHORIZATION.update(authorization)


def past_proxies(variables: Mapping[str, str], host: str) -> dict[str, str]:
    """What a program with `variables` needs besides, to reach the stack at `host` directly."""
    direct = variables.get("NO_PROXY") or variables.get("no_proxy")
    names = ",".join(filter(None, dict.fromkeys((direct, "localhost", "127.0.0.1", host))))
    return {"NO_PROXY": names, "no_proxy": names}


def get(url: str, timeout: float = 5.0) -> tuple[int, dict[str, Any]]:
    """Status and parsed body; status 0 where nobody answers, {} for a body that is no object."""
    request = urllib.request.Request(url, headers=_headers(url))  # noqa: S310
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return answer.status, _parse(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _parse(error.read())
    except (OSError, HTTPException):
        return 0, {}


def ready(url: str) -> bool:
    """Whether the service there can do its work."""
    return get(f"{url}/readyz")[0] == 200


def post(url: str, body: str, timeout: float = 30.0) -> tuple[int, str, Message]:
    """Status, text and headers of the answer to a JSON body; status 0 where nobody answers."""
    request = urllib.request.Request(  # noqa: S310 - the address is one of our own
        url, data=body.encode(), headers={"content-type": "application/json", **_headers(url)}
    )
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace"), error.headers
    except (OSError, HTTPException) as error:
        return 0, str(error), Message()


def _headers(url: str) -> dict[str, str]:
    for address, value in _AUTHORIZATION.items():
        if url.startswith(f"{address}/"):
            return {"authorization": value}
    return {}


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
