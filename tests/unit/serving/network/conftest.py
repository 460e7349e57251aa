"""A proxy in a thread of its own, as the front runs it, and servers of the test's own."""

import asyncio
import datetime
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import getproxies_environment

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from model_server.network import rules
from model_server.network.proxy import Proxy, variables


class Running:
    """A proxy that listens, in a loop of its own."""

    def __init__(self, network: rules.Network) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.proxy = Proxy(network, "wine", "3")
        self.port = self.run(self.proxy.start())
        self.address = ("127.0.0.1", self.port)
        self.variables = variables(self.port, self.proxy.secret)
        self.url = self.variables["HTTPS_PROXY"]

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self) -> None:
        self.run(self.proxy.close())

    def stop(self) -> None:
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/nothing":
            self.close_connection = True
            return
        if self.path == "/half":
            self._head({"Content-Length": "100"})
            self.wfile.write(b"half")
            self.close_connection = True
            return
        if self.path == "/slow":
            self._head({"Transfer-Encoding": "chunked"})
            for number in range(3):
                self.wfile.write(b"3\r\n<%d>\r\n" % number)
                self.server.taken.acquire(timeout=10)
            self.wfile.write(b"0\r\n\r\n")
            return
        if self.path == "/unknown-length":
            self._head({"Connection": "close"})
            self.wfile.write(b"to the end")
            return
        told = {"path": self.path, "headers": dict(self.headers), "body": self._body()}
        body = json.dumps(told).encode()
        self._head({"Content-Length": str(len(body)), "Keep-Alive": "timeout=5"})
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815

    def _head(self, headers: dict) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self) -> str:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body.decode()

    def log_message(self, *_: object) -> None:
        pass


class Origin(ThreadingHTTPServer):
    """Tells what it was asked. /slow sends a piece, and the next one when `taken` is released."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.taken = threading.Semaphore(0)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.host = f"localhost:{self.server_port}"
        self.url = f"http{'s' if context else ''}://{self.host}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Clients of the tests go away on purpose."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch):
    for name in getproxies_environment():
        for variable in (f"{name}_proxy", f"{name}_proxy".upper()):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def running():
    """Call it with a SERVING_NETWORK and a tag."""
    started = []

    def start(setting: str = "", tag: str = "") -> Running:
        started.append(Running(rules.of_setting(setting).with_tag(tag)))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def origin():
    server = Origin()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """Localhost's, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    return file


@pytest.fixture(scope="session")
def server_context(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def secure_origin(server_context):
    server = Origin(server_context)
    yield server
    server.stop()
