"""What the gateway lets through, and how it is confined."""

import contextlib
import hashlib
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.ports import free_port
from harness.stack import docker
from harness.waiting import wait_until
from host.clients.team import OWN_CERTIFICATE

FULL = os.environ.get("FULL") == "1"
MIB = 2**20
# Kills processes whose parent is neither outside nor the container's first process.
KILL_WORKERS = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/stat") as stat:
        if int(stat.read().rpartition(")")[2].split()[1]) > 1:
            os.kill(int(pid), 9)
"""
PUBLIC = "127.0.0.43"
"""Address of mlflow.test: port 443 of 127.0.0.1 may be another's."""


def test_a_large_artifact_passes_whole(eve, as_user, tmp_path):
    size = 1024 if FULL else 100
    digest = hashlib.sha256()
    with (tmp_path / "large").open("wb") as file:
        for _ in range(size):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    client = as_user("eve", eve)
    run = client.create_run(client.create_experiment("large")).info.run_id
    client.log_artifact(run, str(tmp_path / "large"))
    (tmp_path / "back").mkdir()
    path = client.download_artifacts(run, "large", str(tmp_path / "back"))
    with Path(path).open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()


def test_the_pages_load_and_may_write(team):
    with team.client(auth=("admin", team.admin)) as http:
        page = http.get(f"{team.tracking}/")
        assert '<div id="root"' in page.text
        scripts = re.findall(r'src="(static-files/[^"]+\.js)"', page.text)
        assert scripts
        for script in scripts:
            assert http.get(f"{team.tracking}/{script}").status_code == 200
        search = f"{team.tracking}/ajax-api/2.0/mlflow/experiments/search"
        own = {"origin": team.tracking}
        assert http.post(search, json={"max_results": 1}, headers=own).status_code == 200
        foreign = {"origin": "https://evil.example"}
        assert http.post(search, json={"max_results": 1}, headers=foreign).status_code == 403
        for answer in (page, http.get(f"{team.serving}/livez")):
            assert not {"server", "via", "strict-transport-security"} & answer.headers.keys()


def ask(url: str, name: str, verify: ssl.SSLContext | bool) -> httpx.Response:
    """Ask as if `name` led to this machine."""
    named = {"sni_hostname": name} if name[-1].isalpha() else {}  # addresses name nobody
    with httpx.Client(verify=verify, trust_env=False) as http:
        return http.get(url, headers={"host": name}, extensions=named)


def test_unknown_names_are_told_so(team):
    for url in (team.tracking, team.serving):
        with team.client() as http:
            answer = http.get(f"{url}/health", headers={"host": "evil.test"})
        again = ask(f"{url}/health", "evil.test", verify=False)
        for refused in (answer, again):
            assert refused.status_code == 421
            assert refused.headers["content-type"] == "application/json"
            assert "STACK_NAMES" in refused.json()["message"]
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            ask(f"{url}/health", "evil.test", verify=team.context)


def test_a_failing_service_is_named_without_what_clients_sent(team):
    """It fails in the middle of an answer, and before it."""
    secret = f"canary-{os.urandom(8).hex()}"
    headers = {"x-mlflow-authorization": f"Basic {secret}", "x-own": secret, "cookie": secret}
    large = f"{team.tracking}/api/2.0/mlflow-artifacts/artifacts/large"
    with team.client(auth=("admin", team.admin)) as http:
        assert (
            http.put(
                large,
                content=bytes(40 * MIB),  # more than TRACKING_BODY_LIMIT
            ).status_code
            == 200
        )
        with http.stream("GET", large, headers=headers) as answer:
            parts = answer.iter_raw()
            next(parts)
            # Not the container: with its network, the end of the connection may be lost.
            team.stack.execute("tracking", "python", "-c", KILL_WORKERS)
            with pytest.raises(httpx.RemoteProtocolError):
                list(parts)
        team.stack.compose("kill", "tracking")
        answer = http.get(f"{team.tracking}/", headers=headers)
        assert answer.status_code == 502
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        team.stack.up("--no-deps", "tracking")
    logs = team.stack.compose("logs", "--no-log-prefix", "gateway").stdout
    assert "aborting with incomplete response" in logs
    assert '"status":502' in logs
    assert secret not in logs


def test_only_the_gateway_is_published(team):
    published = {
        (name, port, binding["HostIp"], binding["HostPort"])
        for name, container in team.stack.containers().items()
        for port, bindings in (container["HostConfig"]["PortBindings"] or {}).items()
        for binding in bindings
    }
    assert published == {
        ("gateway", "5000/tcp", "127.0.0.1", str(team.stack.tracking_port)),
        ("gateway", "8080/tcp", "127.0.0.1", str(team.stack.serving_port)),
    }
    with httpx.Client(trust_env=False) as http:
        for port in (team.stack.tracking_port, team.stack.serving_port):
            assert http.get(f"http://localhost:{port}/").status_code == 400
    context = team.context
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", team.stack.serving_port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_the_gateway_is_confined(team):
    container = team.stack.container("gateway")
    host = container["HostConfig"]
    assert container["Config"]["User"] == "10010:10010"
    assert host["ReadonlyRootfs"]
    assert host["Init"]
    assert (host["CapDrop"], host["CapAdd"] or []) == (["ALL"], [])
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert 0 < host["Memory"] <= 256 * MIB
    assert host["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}
    status = team.stack.execute("gateway", "cat", "/proc/1/status")
    assert re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)", status, re.MULTILINE) == ["0" * 16] * 3


def test_a_certificate_of_ones_own_is_used(team, tmp_path):
    for name in ("own-ca", "own"):
        subprocess.run(
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name],
            cwd=tmp_path,
            check=True,
        )
    make = ["openssl", "req", "-x509", "-key", "own-ca", "-out", "own-ca.pem", "-days", "2"]
    subprocess.run([*make, "-subj", "/CN=Our CA"], cwd=tmp_path, check=True)
    request = ["openssl", "req", "-new", "-key", "own", "-out", "own.csr", "-subj", "/CN=localhost"]
    subprocess.run(request, cwd=tmp_path, check=True)
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost\n")
    sign = ["openssl", "x509", "-req", "-in", "own.csr", "-CA", "own-ca.pem", "-CAkey", "own-ca"]
    sign += ["-CAcreateserial", "-days", "1", "-extfile", "names", "-out", "own.pem"]
    subprocess.run(sign, cwd=tmp_path, check=True, capture_output=True)

    secrets = team.stack.folder / "secrets"
    files = {"tls-certificate": tmp_path / "own.pem", "tls-key": tmp_path / "own"}
    context = ssl.create_default_context(cafile=tmp_path / "own-ca.pem")
    try:
        for name, file in files.items():
            (secrets / name).write_text(file.read_text())
        team.stack.up("--force-recreate", "secrets", "gateway")
        with httpx.Client(verify=context, trust_env=False) as http:
            for url in (team.tracking, team.serving):
                assert http.get(f"{url}/health").status_code in (200, 404)
        with team.client() as http, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            http.get(f"{team.tracking}/health")
        assert ask(f"{team.tracking}/health", "evil.test", verify=False).status_code == 421
        said = team.stack.compose("exec", "-T", "gateway", "root-certificate", check=False)
        assert said.returncode == OWN_CERTIFICATE
    finally:
        for name in files:
            (secrets / name).unlink(missing_ok=True)
        team.stack.up("--force-recreate", "secrets", "gateway")
    with team.client() as http:
        assert http.get(f"{team.tracking}/health").status_code == 200


AUTHORITY = """
{{
    admin off
    auto_https disable_redirects
    http_port {other_port}
    https_port {port}
    default_sni {address}
    persist_config off
    skip_install_trust
}}
https://{address}:{port} {{
    tls internal
    acme_server {{
        challenges tls-alpn-01
    }}
}}
"""
TRUST = """
services:
  gateway:
    volumes: ["{root}:/etc/ssl/certs/acme-ca.pem:ro"]
"""


@contextlib.contextmanager
def authority(name: str, image: str, address: str, port: int, folder: Path) -> Iterator[str]:
    """An ACME server on this machine; its certificate. It takes mlflow.test for PUBLIC."""
    settings = {"address": address, "port": port, "other_port": free_port()}
    (folder / "Caddyfile").write_text(AUTHORITY.format(**settings))
    folder.chmod(0o755)
    options = ["--network=host", f"--add-host=mlflow.test:{PUBLIC}", f"--volume={folder}:/ca:ro"]
    options += ["--tmpfs=/data:mode=777", "--entrypoint=caddy"]
    run = ["run", "--config=/ca/Caddyfile", "--adapter=caddyfile"]
    docker("run", "--detach", "--name", name, *options, image, *run)
    try:
        root = ["exec", name, "cat", "/data/caddy/pki/authorities/local/root.crt"]
        wait_until(lambda: not docker(*root, check=False).returncode, 30, "the authority is made")
        yield docker(*root).stdout
    finally:
        docker("rm", "--force", "--volumes", name)


def test_an_authority_issues_the_certificate_of_the_public_name(team, tmp_path):
    """ACME asks at port 443; further names have certificates of the stack's own."""
    with socket.socket() as probe:
        try:
            probe.bind((PUBLIC, 443))
        except OSError as error:
            pytest.skip(f"port 443: {error}")
    stack = team.stack
    gateway = stack.container("gateway")
    address = gateway["NetworkSettings"]["Networks"][f"{stack.project}_front"]["Gateway"]
    name, port = f"{stack.project}-authority", free_port()
    try:
        with authority(name, gateway["Config"]["Image"], address, port, tmp_path) as root:
            (tmp_path / "root.pem").write_text(root)
            overlay = tmp_path / "compose.trust.yml"
            overlay.write_text(TRUST.format(root=tmp_path / "root.pem"))
            stack.up(
                *("--no-deps", "--force-recreate", "gateway"),
                COMPOSE_FILE=os.pathsep.join([*stack.files, str(overlay)]),
                TRACKING_PORT="443",
                STACK_HOST=PUBLIC,
                STACK_NAMES="MLflow.lan,fd00::5,192.0.2.7,mlflow.test",
                STACK_DOMAIN="mlflow.test",
                STACK_ACME_CA=f"https://{address}:{port}/acme/local/directory",
            )
            theirs = ssl.create_default_context(cadata=root)
            url = f"https://{PUBLIC}/health"
            answer = wait_until(lambda: ask(url, "mlflow.test", theirs), 60, "it is issued")
            assert answer.headers["strict-transport-security"]
            named = wait_until(lambda: ask(url, "mlflow.lan", team.context), 30, "and the other")
            assert named.status_code != 421
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
                ask(url, "mlflow.lan", theirs)
            for host in ("[fd00::5]", "192.0.2.7"):
                assert ask(url, host, verify=False).status_code != 421
    finally:
        stack.up("--no-deps", "--force-recreate", "gateway")
