"""What services and host tools say twice, since each image holds its own folder alone, is equal."""

import importlib
import os
import subprocess

import pytest

from host.paths import ROOT
from host.processes import keys
from host.python import pip_settings
from model_server import settings as serving
from model_server.environments import uv
from stack_backup import database, work
from stack_backup.work import Work
from stack_secrets import handover, keeper
from stack_secrets.catalogue import BACKUP, TRACKING, VOLUMES
from tracking_server import settings as tracking
from tracking_server.backend import postgres
from tracking_server.metrics import page

# What a user may write into STACK_NAMES, and the name that is answered to.
NAMES = {
    "mlflow.lan": "mlflow.lan",
    "MLflow.LAN": "mlflow.lan",
    "a_b-1": "a_b-1",
    "192.0.2.7": "192.0.2.7",
    "fd00::5": "[fd00::5]",
    "[FD00::6]": "[fd00::6]",
}
NO_NAMES = (
    *("mlflow.lan:5000", "https://mlflow.lan", "a/b", "*", "*.lan", "?a", "a..b", ".lan", "lan."),
    *("-a", "a-", "a.-b", "ä", "$(id)", "a{"),
)


@pytest.fixture
def answered(tmp_path):
    """The names that the gateway's script, in shell, would answer to; None if it refuses."""
    (tmp_path / "caddy").write_text("#!/bin/sh\n")
    (tmp_path / "caddy").chmod(0o755)
    folder = ROOT / "services" / "gateway"

    def run(name: str) -> str | None:
        environment = {
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "GATEWAY_BASE": str(folder / "Caddyfile"),
            "GATEWAY_CONFIG": str(tmp_path / "Caddyfile"),
            "GATEWAY_CERTIFICATE": str(tmp_path / "none"),
            "STACK_NAMES": name,
        }
        done = subprocess.run(
            [folder / "gateway"], env=environment, capture_output=True, check=False
        )
        return (tmp_path / "Caddyfile").read_text() if done.returncode == 0 else None

    return run


def test_a_host_name_is_the_same_to_all_three(answered):
    for name, normal in NAMES.items():
        assert tracking._host_name(name) == normal
        assert serving._name(name).lower() == normal
        assert f"https://{normal}:5000 " in answered(name)
    for name in NO_NAMES:
        for rule in (tracking._host_name, serving._name):
            with pytest.raises(ValueError, match="is no host name"):
                rule(name)
        assert answered(name) is None, name


def test_the_lock_that_a_clean_up_holds_is_the_one_that_a_backup_shares():
    assert postgres.UPKEEP_LOCK == database.CLEANING_LOCK
    assert len({postgres.MIGRATION_LOCK, postgres.UPKEEP_LOCK, database.BACKUP_LOCK}) == 3


def test_word_of_the_last_backup_gets_to_the_metrics(tmp_path):
    assert work.LAST == handover.LAST == page.LAST_BACKUP
    Work(tmp_path).note_backup("0" * 64)
    assert page.last_backup(tmp_path / work.LAST) > 1e9


def test_backups_and_secrets_use_the_same_files():
    assert (work.UNFINISHED, work.UNSTARTED) == (handover.UNFINISHED, handover.UNSTARTED)
    assert f"{work.HANDOVER}/secrets/{handover.KEK}" in work.NEEDED
    assert (VOLUMES["backup-work"], VOLUMES["tracking-backups"]) == (BACKUP, TRACKING)


@pytest.mark.parametrize(
    "value", ["a" * 12, "a" * 128, "a" * 11, "a" * 129, "A1._~-" * 2, "a b" * 4]
)
def test_a_passphrase_is_one_with_and_without_docker(value):
    assert bool(keys.TAKEN.fullmatch(value)) == (keeper._fault(keys.KEK, value) is None)
    assert keys.KEK == handover.KEK
    assert set(keys.NAMES) <= keeper.SECRETS.keys()


def test_what_is_set_for_pip_has_one_name_in_uv():
    named = {
        f"PIP_{option.upper().replace('-', '_')}": variable
        for option, variable in pip_settings.VARIABLES.items()
    }
    assert uv._PIP.items() <= named.items()


@pytest.mark.parametrize(
    "package", ["model_server", "stack_backup", "stack_secrets", "tracking_server"]
)
def test_what_a_service_refuses_is_an_error_of_one_name(package):
    assert importlib.import_module(f"{package}.errors").RefusedError.__bases__ == (Exception,)
