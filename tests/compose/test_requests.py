"""A page in the user's browser can send requests to a local port: only known names pass."""

import httpx
import pytest


@pytest.mark.parametrize(
    ("service", "path"),
    [("tracking", "/api/2.0/mlflow/experiments/search"), ("serving", "/invocations")],
)
class TestForeign:
    def ask(self, stack, service, path, **headers):
        headers = {"content-type": "application/json", **headers}
        return httpx.post(f"{getattr(stack, service)}{path}", headers=headers, json={})

    def test_host_is_refused(self, stack, service, path):
        assert self.ask(stack, service, path, host="evil.example").status_code == 403
        assert self.ask(stack, service, path, host="localhost.evil.example").status_code == 403

    def test_origin_is_refused(self, stack, service, path):
        refused = self.ask(stack, service, path, origin="http://evil.example")
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers

    def test_own_names_pass(self, stack, service, path):
        port = getattr(stack, f"{service}_port")
        for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"{service}:{port}"):
            assert self.ask(stack, service, path, host=host).status_code != 403
