"""A storage of the team's own: what is wrong with it is one line, at the start and in /readyz."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import threading

import pytest

from harness.authority import Authority
from harness.tracking import write_secrets
from tracking_server import settings, variables
from tracking_server.artifacts.bucket import Bucket
from tracking_server.errors import RefusedError, UnreachableError, UntrustedError


@pytest.fixture
def bucket(s3, tmp_path, monkeypatch):
    """A bucket as the settings of a new server name it, `changed` on top."""
    folder = write_secrets(tmp_path / "secrets", **{"s3.ini": s3.credentials()})
    own = s3.create_bucket()

    def make(**changed) -> Bucket:
        defaults = {
            "TRACKING_BACKEND_STORE": f"sqlite:///{tmp_path}/mlflow.db",
            "TRACKING_ARTIFACT_STORE": f"s3://{own}/some/prefix",
            "TRACKING_S3_ENDPOINT": s3.endpoint,
            "TRACKING_SECRETS": folder,
        }
        for name, value in {**defaults, **changed}.items():
            monkeypatch.setenv(name, str(value))
        loaded = settings.load()
        variables.apply(loaded)
        return Bucket(loaded, seconds=2)

    make.folder, make.own = folder, own
    return make


class TlsServer:
    """Shakes hands with the certificate of `authority` for `host`, and says nothing after that."""

    def __init__(self, folder, host="localhost", days=1):
        self.authority = Authority("A CA")
        self.authority.certify(host, folder, lifetime=datetime.timedelta(days=days))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{host}.pem", folder / f"{host}.key")
        self._listener = context.wrap_socket(
            socket.create_server(("127.0.0.1", 0)), server_side=True
        )
        self.endpoint = f"https://localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                self._listener.accept()[0].close()
            except ssl.SSLError:
                continue
            except OSError:
                return

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_good_bucket_is_tried_and_left_empty(bucket, s3):
    bucket().try_out()
    assert "Contents" not in s3.client().list_objects_v2(Bucket=bucket.own)


@pytest.mark.parametrize(
    ("store", "says"), [("s3://nowhere", "the bucket nowhere of TRACKING_ARTIFACT_STORE")]
)
def test_a_missing_bucket_is_named(bucket, store, says):
    with pytest.raises(RefusedError, match=says):
        bucket(TRACKING_ARTIFACT_STORE=store).try_out()


@pytest.mark.parametrize("old", ["aws_access_key_id", "aws_secret_access_key"])
def test_wrong_keys_are_named(bucket, s3, old):
    file = bucket.folder / "s3.ini"
    file.write_text(s3.credentials().replace(f"{old} = ", f"{old} = other"))
    with pytest.raises(RefusedError, match="secrets/s3-access-key and secrets/s3-secret-key"):
        bucket().try_out()


def test_no_answer_may_change(bucket):
    with pytest.raises(UnreachableError, match="cannot connect"):
        bucket(TRACKING_S3_ENDPOINT="http://127.0.0.1:1").try_out()


@pytest.mark.parametrize(
    ("trusted", "host", "days", "says"),
    [
        (False, "localhost", 1, "secrets/s3-ca.pem"),
        (True, "other.lan", 1, "not for S3_ENDPOINT's host"),
        (True, "localhost", -1, "has expired"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(bucket, tmp_path, trusted, host, days, says):
    server = TlsServer(tmp_path, host, days)
    authority = server.authority if trusted else Authority("Another CA")
    (bucket.folder / "s3-ca.pem").write_text(authority.pem)
    try:
        asked = bucket(TRACKING_S3_ENDPOINT=server.endpoint)
        for ask in (asked.try_out, asked.there):
            with pytest.raises(UntrustedError, match="the S3 storage") as caught:
                ask()
            assert says in caught.value.reason
            assert "\n" not in str(caught.value)
    finally:
        server.close()


def test_a_certificate_that_is_trusted_is_no_matter(bucket, tmp_path):
    server = TlsServer(tmp_path)
    (bucket.folder / "s3-ca.pem").write_text(server.authority.pem)
    try:
        with pytest.raises(UnreachableError):
            bucket(TRACKING_S3_ENDPOINT=server.endpoint).there()
    finally:
        server.close()


def test_a_server_without_tls_is_refused(bucket, s3):
    with pytest.raises(UntrustedError, match="it speaks no TLS"):
        bucket(TRACKING_S3_ENDPOINT=s3.endpoint.replace("http://", "https://")).there()
    assert os.environ["AWS_DEFAULT_REGION"] == "us-east-1"
