"""TLS to the team's own servers: which CAs are trusted, and what a failed handshake means."""

from __future__ import annotations

from collections.abc import Iterable

from tracking_server.errors import UntrustedError
from tracking_server.settings import Settings

# Beside the secrets, and optional: without one, the CAs that browsers trust are.
POSTGRES_CA, S3_CA = "postgres-ca.pem", "s3-ca.pem"

_UNTRUSTED = "certificate not trusted: put the certificate of the CA that signed it into secrets/{}"

# What the libraries say, and what that means; the first that fits.
_POSTGRES = (
    (
        "does not match host name",
        "its certificate is not for POSTGRES_HOST: set the name it is for",
    ),
    ("root certificate file", _UNTRUSTED.format(POSTGRES_CA)),
    # libpq does not tell why.
    ("certificate verify failed", f"{_UNTRUSTED.format(POSTGRES_CA)} (or it has expired)"),
    (
        "does not support SSL",
        (
            "it speaks no TLS: switch it on there (ssl = on); on a network that nobody else is in, "
            "POSTGRES_SSLMODE=disable"
        ),
    ),
)
_S3 = (
    ("has expired", "its certificate has expired: renew it there"),
    # Either OpenSSL or urllib3 compares the names.
    *(
        (text, "its certificate is not for S3_ENDPOINT's host: set the name it is for")
        for text in ("Hostname mismatch", "IP address mismatch", "doesn't match")
    ),
    ("certificate verify failed", _UNTRUSTED.format(S3_CA)),
    (
        "WRONG_VERSION_NUMBER",
        (
            "it speaks no TLS: switch it on there; on a network that nobody else is in, "
            "S3_ENDPOINT=http://..."
        ),
    ),
)


def clients(settings: Settings) -> dict[str, str]:
    """How libpq and boto3 find the CAs: by file."""
    variables = {}
    postgres, s3 = (settings.secrets / name for name in (POSTGRES_CA, S3_CA))
    if settings.on_postgres and postgres.exists():
        variables["PGSSLROOTCERT"] = str(postgres)
    elif settings.sslmode == "verify-full":
        import certifi

        # OpenSSL's own, which has them elsewhere in every build, is told by the other variable.
        variables |= {"PGSSLROOTCERT": "system", "SSL_CERT_FILE": certifi.where()}
    if settings.on_s3 and s3.exists():
        variables["AWS_CA_BUNDLE"] = str(s3)
    return variables


def of_postgres(message: str) -> UntrustedError | None:
    """The error that libpq's message is, where it is one of TLS."""
    return _first("PostgreSQL", _POSTGRES, message)


def of_s3(message: str) -> UntrustedError | None:
    """The error that boto3's message is, where it is one of TLS."""
    return _first("the S3 storage", _S3, message)


def _first(server: str, known: Iterable[tuple[str, str]], message: str) -> UntrustedError | None:
    for text, meaning in known:
        if text in message:
            return UntrustedError(f"{server}: {meaning}", message.strip().splitlines()[0])
    return None
