"""Both services' health checks: they run every few seconds, so they import next to nothing, and
whatever answers, they say why in one line."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.processes import clean_environment

SERVICES = {"model_server": "SERVING_PORT", "tracking_server": "TRACKING_PORT"}
LOADED = """
import contextlib, runpy, sys
sys.argv[1:] = ["healthy"]
with contextlib.suppress(SystemExit):
    runpy.run_module("{0}", run_name="__main__")
print(*(name for name in sys.modules if name.partition(".")[0] in {1}))
"""
HEAVY = ("mlflow", "pydantic", "pydantic_settings", "httpx", "msgspec", "uvicorn", "fastapi")


@contextlib.contextmanager
def answering(parts: Iterable[bytes]):
    """The port of a server that sends this to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        for part in parts:
                            connection.sendall(part)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def healthy(service: str, port: object, *program: str) -> subprocess.CompletedProcess:
    variables = clean_environment(**{SERVICES[service]: str(port)})
    command = program or ("-m", service, "healthy")
    return subprocess.run(
        [sys.executable, *command],
        env=variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_it_imports_next_to_nothing(service):
    done = healthy(service, 1, "-c", LOADED.format(service, (*HEAVY, service)))
    loaded = done.stdout.splitlines()[-1].split()
    assert set(loaded) <= {service, f"{service}.healthy", f"{service}.__main__"}


ANSWERS = {
    "no HTTP": b"hello\r\n\r\n",
    "a body that is cut off": b"HTTP/1.1 503 Busy\r\ncontent-length: 100\r\n\r\n{",
    "another page": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\n\r\n",
    "no JSON": b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{]",
    "deep JSON": b"HTTP/1.1 503 Busy\r\ncontent-length: 5000\r\n\r\n" + b"[" * 5000,
}


@pytest.mark.parametrize("content", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("service", SERVICES)
def test_whatever_answers_it_is_unhealthy_and_says_so(service, content):
    with answering([content]) as port:
        done = healthy(service, port)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert (done.stdout + done.stderr).strip()


def test_an_answer_that_drips_is_not_waited_for():
    def dripping():
        yield b"HTTP/1.1 503 Busy\r\n"
        while True:
            time.sleep(0.2)
            yield b"x"

    with answering(dripping()) as one, answering(dripping()) as other, ThreadPoolExecutor() as both:
        for done in both.map(healthy, SERVICES, (one, other)):
            assert done.returncode == 1
            assert "no whole answer within 3 s" in done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_that_is_no_number_is_said(service):
    done = healthy(service, "abc")
    assert done.returncode == 1
    assert "abc" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
