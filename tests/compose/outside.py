"""The team's own PostgreSQL and S3 storage, with TLS: containers of no Compose project."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

from harness.authority import Authority
from harness.stack import Stack, docker
from harness.waiting import wait_until
from host.paths import ROOT

DATABASE, STORAGE = "db.outside.test", "s3.outside.test"
OTHER_DATABASE, OTHER_STORAGE = "db2.outside.test", "s32.outside.test"  # not in the certificates
BUCKET, PREFIX = "team-mlflow", "stack"
CADDYFILE = f"""
{{
    admin off
    auto_https off
}}
:443 {{
    tls /tls/{STORAGE}.pem /tls/{STORAGE}.key
    reverse_proxy 127.0.0.1:9000
}}
"""
# Keys are readable to their user alone, or PostgreSQL does not start.
START_POSTGRES = (
    f"install -o postgres -m 600 /tls/{DATABASE}.key /tmp/server.key && "
    f"exec docker-entrypoint.sh postgres -c ssl_cert_file=/tls/{DATABASE}.pem "
    "-c ssl_key_file=/tmp/server.key"
)


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
        self.speak_tls("on")
        self._make_bucket()
        return self

    def close(self) -> None:
        docker("rm", "--force", "--volumes", *reversed(self._names), check=False)

    def answers(self) -> bool:
        ready = ["pg_isready", "--quiet", "--host=127.0.0.1"]
        return docker("exec", self._names[0], *ready, check=False).returncode == 0

    def speak_tls(self, value: str) -> None:
        """Switch it on or off, and return when PostgreSQL has read it."""
        self.sql(f"ALTER SYSTEM SET ssl = {value}")
        self.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self.sql("SHOW ssl") == [value], 20, f"PostgreSQL has ssl {value}")

    def restart_database(self) -> None:
        docker("restart", "--time=10", self._names[0])

    def sql(self, statement: str, database: str = "mlflow") -> list[str]:
        """Rows of what the administrator asks, columns separated by `|`."""
        psql = ["psql", "--username=postgres", f"--dbname={database}", "--no-align"]
        psql += ["--tuples-only", "--set=ON_ERROR_STOP=1"]
        asked = docker("exec", "-i", "--workdir=/tmp", self._names[0], *psql, stdin=statement)
        return asked.stdout.splitlines()

    def storage(self, script: str, stdin: str = "", *, check: bool = True) -> str:
        """Output of a shell script that uses the storage as its administrator, `mc` alias
        `root`."""
        login = f"mc alias set root http://127.0.0.1:9000 root{self._root_key[:6]} {self._root_key}"
        script = f"{login} >/dev/null\n{script}"
        command = ["exec", "-i", self._names[1], "sh", "-ec", script]
        return docker(*command, stdin=stdin, check=check).stdout

    def _make_database(self) -> None:
        """Runs the statements of docs/external.md."""
        write = "mkdir -p /tmp/secrets && cat > /tmp/secrets/mlflow-password"
        password = self.values["mlflow-password"]
        docker("exec", "-i", self._names[0], "sh", "-c", write, stdin=password)
        self.sql(_documented("sql"), "postgres")

    def _make_bucket(self) -> None:
        """Applies the policy of docs/external.md."""
        policy = json.loads(_documented("json"))
        policy["Statement"][1]["Resource"] = [f"arn:aws:s3:::{BUCKET}/{PREFIX}/*"]
        key, secret = self.values["s3-access-key"], self.values["s3-secret-key"]
        make = f"mc mb --ignore-existing root/{BUCKET}"
        wait_until(lambda: self.storage(make, check=False), 60, "S3 answers")
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
