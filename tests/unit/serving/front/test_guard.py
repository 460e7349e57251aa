"""Which hosts and origins are this server's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_server.errors import RefusedError
from model_server.front.guard import OPEN_PATHS, Guard

guard = Guard(["Serving", "a.example.org"])


def allowed(method=b"GET", path=b"/models", host=b"localhost", origin=None) -> bool:
    try:
        guard.check(method, path, host, origin)
    except RefusedError as error:
        return error.status != 403
    return True


@pytest.mark.parametrize("port", ["", ":80", ":8080"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "serving", "a.example.org"])
def test_own_hosts_at_any_port(name, port):
    assert allowed(host=f"{name}{port}".encode())
    assert allowed(b"POST", origin=f"http://{name}{port}".encode())


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "evil.test",
        "localhost.evil.test",
        "example.org",
        "b.a.example.org",
        "::1",
        "localhost:a",
    ],
)
def test_foreign_hosts(host):
    assert not allowed(host=host.encode())


@pytest.mark.parametrize("path", [*OPEN_PATHS, *(path + b"/?a=b/" for path in OPEN_PATHS)])
def test_probes_come_with_any_host(path):
    assert allowed(path=path, host=b"10.0.0.7:8080")
    assert not allowed(b"POST", path=path, origin=b"http://evil.test")


@pytest.mark.parametrize("origin", [b"null", b"", b"http://evil.test", b"http://[", b"localhost"])
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"ANY"])
def test_foreign_origins_may_only_read(method, origin):
    assert not allowed(method, origin=origin)
    assert allowed(b"GET", origin=origin)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_bytes_upset_it(host, origin):
    allowed(b"POST", host=host)
    allowed(b"POST", origin=origin)


def test_the_host_of_an_absolute_target_counts():
    assert allowed(path=b"http://localhost:80/models", host=b"evil.test")
    for target in (b"http://evil.test/models", b"http://localhost@evil.test/models", b"*", b""):
        assert not allowed(path=target, host=b"localhost")
