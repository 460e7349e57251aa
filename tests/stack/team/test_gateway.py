"""What the gateway lets through, and how it is confined."""

import hashlib
import os
import re
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

FULL = os.environ.get("FULL") == "1"
MIB = 2**20


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
    found = client.download_artifacts(run, "large", str(tmp_path / "back"))
    with Path(found).open("rb") as file:
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
    given = {"tls-certificate": tmp_path / "own.pem", "tls-key": tmp_path / "own"}
    context = ssl.create_default_context(cafile=tmp_path / "own-ca.pem")
    try:
        for name, file in given.items():
            (secrets / name).write_text(file.read_text())
        team.stack.up("--force-recreate", "secrets", "gateway")
        with httpx.Client(verify=context, trust_env=False) as http:
            for url in (team.tracking, team.serving):
                assert http.get(f"{url}/health").status_code in (200, 404)
        with team.client() as http, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            http.get(f"{team.tracking}/health")
    finally:
        for name in given:
            (secrets / name).unlink(missing_ok=True)
        team.stack.up("--force-recreate", "secrets", "gateway")
    with team.client() as http:
        assert http.get(f"{team.tracking}/health").status_code == 200
