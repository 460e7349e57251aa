"""Which CAs are trusted, and what a failed handshake with PostgreSQL means."""

import os

import certifi
import pytest

from tracking_server import tls, variables

EXTERNAL = "postgresql+psycopg2://mlflow@db.lan:5432/mlflow?sslmode="


def test_the_stacks_own_servers_are_asked_as_ever(load):
    assert tls.clients(load()) == {}


def test_a_ca_is_a_file_beside_the_secrets(load, secret_folder):
    for name in ("postgres-ca.pem", "s3-ca.pem"):
        (secret_folder / name).write_text("certificate")
    ours = tls.clients(load(TRACKING_BACKEND_STORE=f"{EXTERNAL}verify-full"))
    assert ours["PGSSLROOTCERT"] == str(secret_folder / "postgres-ca.pem")
    assert ours["AWS_CA_BUNDLE"] == str(secret_folder / "s3-ca.pem")


def test_without_one_the_public_cas_are_trusted(load):
    ours = tls.clients(load(TRACKING_BACKEND_STORE=f"{EXTERNAL}verify-full"))
    assert ours == {"PGSSLROOTCERT": "system", "SSL_CERT_FILE": certifi.where()}
    assert tls.clients(load(TRACKING_BACKEND_STORE=f"{EXTERNAL}require")) == {}


def test_nothing_outside_can_make_every_certificate_trusted(load, monkeypatch):
    monkeypatch.setenv("MLFLOW_S3_IGNORE_TLS", "true")
    variables.apply(load())
    assert "MLFLOW_S3_IGNORE_TLS" not in os.environ


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('server certificate for "a" does not match host name "b"', "not for POSTGRES_HOST"),
        ("SSL error: certificate verify failed", "secrets/postgres-ca.pem (or it has expired)"),
        ('root certificate file "/x/root.crt" does not exist', "secrets/postgres-ca.pem"),
        ("server does not support SSL, but SSL was required", "it speaks no TLS"),
    ],
)
def test_libpqs_words_become_one_line_on_what_to_do(said, meant):
    error = tls.of_postgres(f"connection to server failed: {said}\nmore")
    assert meant in error.reason
    assert "\n" not in str(error)
    assert said in str(error)


def test_what_is_no_matter_of_tls_is_left_alone():
    assert tls.of_postgres("Connection refused") is None
