"""Whose certificate the gateway shows, as the gateway's own script says."""

import pytest

from host.clients import team
from host.paths import ROOT
from host.user.terminal import CommandError


@pytest.fixture
def gateway(docker, tmp_path, monkeypatch):
    """The folder of the files that the script looks at."""
    script = ROOT / "services" / "gateway" / "root-certificate"
    files = f"GATEWAY_ROOT={tmp_path}/root.crt GATEWAY_CERTIFICATE={tmp_path}/tls-certificate"
    docker(f"PATH=/usr/bin:/bin {files} exec {script}")
    monkeypatch.setattr(team, "LOCAL", tmp_path / "local")
    monkeypatch.setattr(team, "ROOT_CERTIFICATE", tmp_path / "local" / "root-certificate.pem")
    return tmp_path


def test_the_stacks_own_authority_is_kept_for_clients(gateway):
    (gateway / "root.crt").write_text("PEM\n")
    assert team.trust() == gateway / "local" / "root-certificate.pem"
    assert team.trust().read_text() == "PEM\n"


def test_a_certificate_of_the_users_own_is_trusted_elsewhere(gateway):
    (gateway / "root.crt").write_text("PEM\n")
    (gateway / "tls-certificate").write_text("PEM\n")
    assert team.trust() is None


@pytest.mark.usefixtures("gateway")
def test_an_authority_that_is_not_made_yet_is_an_error():
    with pytest.raises(CommandError, match="wait until the gateway is healthy"):
        team.trust()
