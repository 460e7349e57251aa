"""The health check asks this machine, whatever the environment says about proxies."""

import http.server
import os
import subprocess
import sys
import threading

import pytest

from harness.ports import free_port
from harness.processes import clean_environment


class Ready(http.server.BaseHTTPRequestHandler):
    """Answers as a server that is ready."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def healthy(port, **variables):
    """A process of its own: the module looks at the environment when it is imported."""
    direct = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    return subprocess.run(
        [sys.executable, "-m", "tracking_server", "healthy"],
        env=direct
        | {"PYTHONPATH": clean_environment()["PYTHONPATH"], "TRACKING_PORT": str(port)}
        | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_is_not_asked(port, variable):
    done = healthy(port, **{variable: f"http://127.0.0.1:{free_port()}"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_server_that_does_not_answer_is_named_by_its_port():
    port = free_port()
    done = healthy(port)
    assert done.returncode == 1
    assert f"no answer on port {port}" in done.stdout
