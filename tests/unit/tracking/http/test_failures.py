"""What is said of an OSError: whether a disk failed, or another server."""

import errno
import http.server
import socket
import ssl
import threading
import urllib.request

import pytest
import requests

from harness.ports import free_port
from tracking_server.http import failures

SECRET = "secret-name.invalid"


def raised(call) -> OSError:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which, is what is asked
        call()
    return caught.value


def refused() -> OSError:
    return raised(lambda: socket.create_connection(("127.0.0.1", free_port()), 1))


def silent(ask) -> OSError:
    """The error from a server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return raised(lambda: ask(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"))


def untrusted() -> OSError:
    plain = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    try:
        return raised(lambda: requests.get(f"https://127.0.0.1:{plain.server_port}", timeout=5))
    finally:
        plain.shutdown()
        plain.server_close()


NETWORK = {
    "a name": (lambda: raised(lambda: socket.getaddrinfo(SECRET, 1)), 503, "its name"),
    "a name, requests": (
        lambda: raised(lambda: requests.get(f"http://{SECRET}/", timeout=5)),
        503,
        "its name",
    ),
    "a name, urllib": (
        lambda: raised(lambda: urllib.request.urlopen(f"http://{SECRET}/", timeout=5)),
        503,
        "its name",
    ),
    "refused": (refused, 503, "could not be reached"),
    "refused, requests": (
        lambda: raised(lambda: requests.get(f"http://127.0.0.1:{free_port()}/", timeout=5)),
        503,
        "could not be reached",
    ),
    "silent, requests": (
        lambda: silent(lambda url: requests.get(url, timeout=0.2)),
        503,
        "in time",
    ),
    "silent, urllib": (
        lambda: silent(lambda url: urllib.request.urlopen(url, timeout=0.2)),
        503,
        "in time",
    ),
    "reset": (lambda: ConnectionResetError(errno.ECONNRESET, "reset"), 503, "closed"),
    "no route": (lambda: OSError(errno.EHOSTUNREACH, "no route"), 503, "could not be reached"),
    "no TLS": (untrusted, 502, "TLS"),
    "certificate": (lambda: ssl.SSLCertVerificationError("expired"), 502, "TLS"),
}


@pytest.mark.parametrize(("error", "status", "said"), NETWORK.values(), ids=NETWORK)
def test_a_network_is_not_a_disk(error, status, said):
    body, code = failures.answer(error())
    assert code == status
    assert said in body["message"]
    assert "disk" not in body["message"]
    assert SECRET not in body["message"]
    assert "127.0.0.1" not in body["message"]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(errno.ENOSPC, "full", "/var/tmp/x"), 507, "is full"),
        (OSError(errno.EDQUOT, "quota"), 507, "is full"),
        (PermissionError(errno.EACCES, "no", "/var/tmp/x"), 500, "read or write its disk"),
        (FileNotFoundError(errno.ENOENT, "no", "/var/tmp/x"), 500, "read or write its disk"),
    ],
)
def test_a_disk_is_a_disk(error, status, said):
    body, code = failures.answer(error)
    assert code == status
    assert said in body["message"]
    assert "/var/tmp" not in body["message"]


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda folder: (folder / ("x" * 300)).write_bytes(b""), "too long"),
        (lambda folder: (folder / "file" / "below").write_bytes(b""), "is a file"),
        (lambda folder: (folder / "file").mkdir(), "is a file"),
        (lambda folder: folder.write_bytes(b""), "there is a folder"),
    ],
)
def test_a_name_that_no_disk_takes_is_the_clients(tmp_path, attempt, said):
    (tmp_path / "file").touch()
    body, status = failures.answer(raised(lambda: attempt(tmp_path)), "asked")
    assert status == 400
    assert said in body["message"]
    assert "'asked'" in body["message"]
    assert str(tmp_path) not in body["message"]
