"""The team's own PostgreSQL and S3 storage, with TLS: containers of no Compose project."""

from __future__ import annotations

import datetime
import json
import re
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.stack.shipped import Stack, docker
from tests.support import ROOT, wait_until

DATABASE, STORAGE = "db.outside.test", "s3.outside.test"
OTHER_DATABASE, OTHER_STORAGE = "db2.outside.test", "s32.outside.test"  # not in the certificates
BUCKET, PREFIX = "team-mlflow", "stack"
CADDYFILE = f"""
{{
    admin off
    auto_https off
}}
https://, http:// {{
    tls /tls/{STORAGE}.pem /tls/{STORAGE}.key
    reverse_proxy 127.0.0.1:9000
}}
"""
# Keys are readable to their user alone, or PostgreSQL does not start.
START_POSTGRES = (
    f"install -o postgres -m 600 /tls/{DATABASE}.key /tmp/server.key && "
    f"exec docker-entrypoint.sh postgres -c ssl=on -c ssl_cert_file=/tls/{DATABASE}.pem "
    "-c ssl_key_file=/tmp/server.key"
)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = _unsigned(self._name, self._name, self._key)
        certificate = certificate.add_extension(constraints, critical=True)
        self.pem = _pem(certificate.sign(self._key, hashes.SHA256()))

    def certify(self, host: str, folder: Path) -> None:
        """Write HOST.pem and HOST.key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = _unsigned(_named(host), self._name, key).add_extension(names, critical=False)
        (folder / f"{host}.pem").write_text(_pem(certificate.sign(self._key, hashes.SHA256())))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{host}.key").write_bytes(private)


class Outside:
    """Both servers, on the network by which `stack` has a way out. `values` are what the user is
    given: the files of secrets/."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.authority = Authority("The team's CA")
        self.values = {
            "mlflow-password": f"a:b\\c/{secrets.token_hex(16)}",
            "kek-passphrase": secrets.token_hex(32),
            "s3-access-key": f"team{secrets.token_hex(6)}",
            "s3-secret-key": f"k/+{secrets.token_hex(16)}",
            "postgres-ca.pem": self.authority.pem,
            "s3-ca.pem": self.authority.pem,
        }
        self._root_key = secrets.token_hex(16)
        self._network = f"{stack.project}_front"
        self._names = [f"{stack.project}-outside-{part}" for part in ("db", "s3", "tls")]
        self._folder = folder

    def start(self) -> Outside:
        for host in (DATABASE, STORAGE):
            self.authority.certify(host, self._folder)
        (self._folder / "Caddyfile").write_text(CADDYFILE)
        self._folder.chmod(0o755)
        database, storage, front = self._names
        images = _images()
        self._run(
            database,
            self._on_network(DATABASE, OTHER_DATABASE),
            [f"--env=POSTGRES_PASSWORD={self._root_key}", "--entrypoint=sh", images["postgres"]],
            ["-c", START_POSTGRES],
        )
        root = [f"--env=MINIO_ROOT_USER=root{self._root_key[:6]}"]
        root += [f"--env=MINIO_ROOT_PASSWORD={self._root_key}"]
        self._run(
            storage,
            self._on_network(STORAGE, OTHER_STORAGE),
            [*root, "--volume=/data", images["minio"]],
            ["server", "/data"],
        )
        command = ["caddy", "run", "--config=/tls/Caddyfile", "--adapter=caddyfile"]
        self._run(front, [f"--network=container:{storage}"], ["caddy:2.11-alpine"], command)
        wait_until(self.answers, 60, "PostgreSQL answers")
        self._make_database()
        self._make_bucket()
        return self

    def close(self) -> None:
        docker("rm", "--force", "--volumes", *reversed(self._names), check=False)

    def answers(self) -> bool:
        ready = ["pg_isready", "--quiet", "--host=127.0.0.1"]
        return docker("exec", self._names[0], *ready, check=False).returncode == 0

    def restart_database(self) -> None:
        docker("restart", "--time=10", self._names[0])

    def sql(self, statement: str, database: str = "mlflow") -> list[str]:
        """Rows of what the administrator asks, columns separated by `|`."""
        psql = ["psql", "--username=postgres", f"--dbname={database}", "--no-align"]
        psql += ["--tuples-only", "--set=ON_ERROR_STOP=1"]
        asked = docker("exec", "-i", "--workdir=/tmp", self._names[0], *psql, stdin=statement)
        return asked.stdout.splitlines()

    def storage(self, script: str, stdin: str = "") -> str:
        """What a shell script prints that uses the storage as its administrator, `mc` alias
        `root`."""
        login = f"mc alias set root http://127.0.0.1:9000 root{self._root_key[:6]} {self._root_key}"
        script = f"{login} >/dev/null\n{script}"
        return docker("exec", "-i", self._names[1], "sh", "-ec", script, stdin=stdin).stdout

    def _make_database(self) -> None:
        """By the statements of docs/external.md."""
        write = "mkdir -p /tmp/secrets && cat > /tmp/secrets/mlflow-password"
        given = self.values["mlflow-password"]
        docker("exec", "-i", self._names[0], "sh", "-c", write, stdin=given)
        self.sql(_documented("sql"), "postgres")

    def _make_bucket(self) -> None:
        """With the policy of docs/external.md."""
        policy = json.loads(_documented("json"))
        policy["Statement"][1]["Resource"] = [f"arn:aws:s3:::{BUCKET}/{PREFIX}/*"]
        key, secret = self.values["s3-access-key"], self.values["s3-secret-key"]
        wait_until(lambda: self.storage(f"mc mb --ignore-existing root/{BUCKET}"), 60, "S3 answers")
        self.storage(
            f"cat > /tmp/policy.json; mc admin policy create root team /tmp/policy.json\n"
            f"mc admin user add root {key} {secret}\n"
            f"mc admin policy attach root team --user {key}",
            stdin=json.dumps(policy),
        )

    def _on_network(self, *names: str) -> list[str]:
        return [f"--network={self._network}", *(f"--network-alias={name}" for name in names)]

    def _run(self, name: str, network: list[str], options: list[str], command: list[str]) -> None:
        tls = f"--volume={self._folder}:/tls:ro"
        docker("run", "--detach", f"--name={name}", tls, *network, *options, *command)


def _images() -> dict[str, str]:
    shipped = (ROOT / "docker-compose.yml").read_text()
    return {
        name: re.search(rf"\$\{{{name.upper()}_IMAGE:-([^}}]+)\}}", shipped)[1]
        for name in ("postgres", "minio")
    }


def _documented(language: str) -> str:
    """The one example in that language in docs/external.md."""
    page = (ROOT / "docs" / "external.md").read_text()
    (example,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return example


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _unsigned(subject: x509.Name, issuer: x509.Name, key) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
