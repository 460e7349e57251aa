"""What other servers' administrators chose: taken as it is, as far as it can be passed on."""

import re

LONGEST = 128
_PRINTABLE = re.compile(r"[!-~]*")  # what .ini files take as it is, and libpq escaped


class Text(str):
    """A value for a template: {name} as it is, {name:pgpass} as libpq's passfile has it."""

    __slots__ = ()

    def __format__(self, form: str) -> str:
        return re.sub(r"([\\:])", r"\\\1", self) if form == "pgpass" else str(self)


def fault_of_secret(value: str) -> str | None:
    """What is wrong with `value` as a password, or None."""
    if not value:
        return "is empty"
    if not _PRINTABLE.fullmatch(value) or len(value) > LONGEST:
        return f"may hold up to {LONGEST} printable ASCII characters without spaces, in one line"
    return None


def fault_of_certificate(text: str) -> str | None:
    """What is wrong with `text` as certificates of a CA, or None."""
    if "PRIVATE KEY-----" in text:
        return "holds a private key, which is its server's alone: put only the CA's certificate"
    if "-----BEGIN CERTIFICATE-----" not in text or "-----END CERTIFICATE-----" not in text:
        return (
            "is no certificate in PEM form (-----BEGIN CERTIFICATE-----): "
            "put the certificate of the CA there that signed the server's"
        )
    return None
