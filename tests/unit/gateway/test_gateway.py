"""Which addresses the gateway's script writes down, and which settings it refuses."""

import os
import re
import subprocess

import pytest

import model_server.front.http1
import tracking_server.server
from host.paths import ROOT

FOLDER = ROOT / "services" / "gateway"
CADDY = """#!/bin/sh
printenv AUTO_HTTPS DEFAULT_NAME STACK_ACME_CA
"""


@pytest.fixture
def gateway(tmp_path):
    """Runs the script, with a `caddy` that tells its settings in place of the real one."""
    (tmp_path / "caddy").write_text(CADDY)
    (tmp_path / "caddy").chmod(0o755)
    (tmp_path / "mlflow.lan").touch()  # what a `*` would find

    def run(**settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FOLDER / "gateway"],
            cwd=tmp_path,
            env={
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
                "GATEWAY_BASE": str(FOLDER / "Caddyfile"),
                "GATEWAY_CONFIG": str(tmp_path / "Caddyfile"),
                "GATEWAY_CERTIFICATE": str(tmp_path / "tls-certificate"),
                **settings,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def sites(gateway, tmp_path):
    """The addresses, each with what is imported for it."""

    def read(**settings: str) -> dict[str, list[str]]:
        done = gateway(**settings)
        assert done.returncode == 0, done.stderr
        written = (tmp_path / "Caddyfile").read_text()
        added = written.removeprefix((FOLDER / "Caddyfile").read_text())
        assert added != written
        blocks = re.findall(r"^(https://.*?) \{\n(.*?)^\}", added, re.MULTILINE | re.DOTALL)
        return {
            address: re.findall(r"import (\S+)", block)
            for addresses, block in blocks
            for address in addresses.split()
        }

    return read


LOCAL = ["localhost", "127.0.0.1", "[::1]"]


def test_without_settings_it_is_this_machine_alone(sites):
    by_site = sites()
    assert by_site == {
        **{f"https://{name}:5000": ["certificate-internal", "local", "tracking"] for name in LOCAL},
        **{f"https://{name}:8080": ["certificate-internal", "local", "serving"] for name in LOCAL},
        **{f"https://:{port}": ["certificate-internal", "unknown"] for port in (5000, 8080)},
    }


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"STACK_NAMES": "mlflow.lan,192.0.2.7"}, ["mlflow.lan", "192.0.2.7"]),
        ({"STACK_NAMES": " a , ,b_1,"}, ["a", "b_1"]),
        ({"STACK_NAMES": "MLflow.LAN,mlflow.lan,localhost"}, ["mlflow.lan"]),
        (
            {"STACK_NAMES": "fd00::5,[FD00::6],::ffff:192.0.2.7"},
            ["[fd00::5]", "[fd00::6]", "[::ffff:192.0.2.7]"],
        ),
        ({"STACK_HOST": "192.0.2.7"}, ["192.0.2.7"]),
        ({"STACK_HOST": "[fd00::5]", "STACK_NAMES": "fd00::5"}, ["[fd00::5]"]),
        ({"STACK_HOST": "0.0.0.0"}, []),
        ({"STACK_HOST": "[::]"}, []),
    ],
)
def test_names_are_added_once_each(sites, settings, more):
    names = [*LOCAL, *more]
    assert sites(**settings).keys() == {
        f"https://{name}:{port}" for name in (*names, "") for port in (5000, 8080)
    }


@pytest.mark.parametrize(
    "name",
    [
        *("mlflow.lan:5000", "192.0.2.7:5000", "[fd00::5]:5000", "https://mlflow.lan", "a/b"),
        *("*", "*.lan", "?lflow.lan", "a..b", ".lan", "-a", "-n", "ä"),
        *("$(id)", "`id`", "{$PATH}", "a{"),
    ],
)
def test_what_is_no_name_is_refused_in_one_line(gateway, name):
    for settings in ({"STACK_NAMES": f"good.lan,{name}"}, {"STACK_DOMAIN": name}):
        done = gateway(**settings)
        assert done.returncode == 1
        (setting,) = settings
        assert re.fullmatch(rf"gateway: {setting}: \S+ is no host name: .*\n", done.stderr)
        assert name.lower() in done.stderr


@pytest.mark.parametrize("domain", ["localhost", "192.0.2.7", "fd00::5", "a.test b.test", "a,b"])
def test_a_domain_is_one_public_name(gateway, domain):
    done = gateway(STACK_DOMAIN=domain)
    assert done.returncode == 1
    assert re.fullmatch(r"gateway: STACK_DOMAIN: .*\n", done.stderr)


def test_a_domain_has_a_certificate_of_the_authority_and_the_others_have_not(sites):
    by_site = sites(STACK_DOMAIN="ML.example.org", STACK_NAMES="ml.example.org,ml.lan")
    assert by_site["https://ml.example.org:5000"] == ["certificate-acme", "public", "tracking"]
    assert by_site["https://ml.example.org:8080"] == ["certificate-acme", "public", "serving"]
    assert by_site["https://ml.lan:5000"] == ["certificate-internal", "local", "tracking"]


def test_a_certificate_of_ones_own_is_used_for_all(sites, gateway, tmp_path):
    (tmp_path / "tls-certificate").write_text("PEM")
    by_site = sites(STACK_DOMAIN="ml.example.org")
    assert {imports[0] for imports in by_site.values()} == {"certificate-own"}
    assert gateway().stdout.splitlines()[0] == "off"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "127.0.0.1"),
        ({"STACK_NAMES": "ml.lan,fd00::5,192.0.2.7,192.0.2.8"}, "192.0.2.7"),
        ({"STACK_HOST": "192.0.2.9", "STACK_NAMES": "192.0.2.7"}, "192.0.2.9"),
    ],
)
def test_a_client_that_names_nobody_gets_the_certificate_of_the_first_address(
    gateway, settings, said
):
    assert gateway(**settings).stdout.splitlines()[1] == said


def test_an_authority_of_ones_own_can_issue_the_public_certificate(gateway):
    assert gateway().stdout.splitlines()[2].startswith("https://acme-v02.api.letsencrypt.org/")
    assert gateway(STACK_ACME_CA="").stdout == gateway().stdout
    ours = "https://ca.example.org/acme/directory"
    assert gateway(STACK_ACME_CA=ours).stdout.splitlines()[2] == ours


def test_idle_connections_end_here_before_the_services_end_them():
    """A request that is sent just as the other side closes is lost."""
    kept = re.findall(r"^\t+keepalive (\d+)s", (FOLDER / "Caddyfile").read_text(), re.MULTILINE)
    services = (tracking_server.server.KEEP_ALIVE, model_server.front.http1.KEEP_ALIVE)
    assert len(kept) == len(services)
    assert max(map(int, kept)) + 10 < min(services)
