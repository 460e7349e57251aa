"""What MLflow is told, held against what its own command tells it."""

import os

import mlflow.server
import pytest
from click.testing import CliRunner
from mlflow.cli import cli
from mlflow.server.security_utils import is_allowed_host_header, should_block_cors_request

from tracking_server import variables

# Differs at every start.
RANDOM = "_MLFLOW_SERVER_BOOT_ID"
# This stack's own, for which `mlflow server` has no option.
OWN = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_MODEL_CATALOG_URI",
    "DO_NOT_TRACK",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE",
}

NAMES = ["mlflow.lan", "10.0.0.5", "[fe80::1]"]
KNOWN_HOSTS = [
    "localhost",
    "localhost:5000",
    "127.0.0.1:1",
    "[::1]",
    "[::1]:5000",
    "tracking:5000",
    "mlflow.lan",
    "mlflow.lan:443",
    "10.0.0.5:5000",
    "[fe80::1]:5000",
]
FOREIGN_HOSTS = ["", ":5000", "evil.example", "localhost.evil.example:5000", "mlflowxlan:5000"]
KNOWN_ORIGINS = [
    "http://localhost:5000",
    "http://127.0.0.1:9",
    "http://mlflow.lan",
    "http://mlflow.lan:5000",
    "https://mlflow.lan",
    "https://mlflow.lan:8443",
    "http://[fe80::1]:5000",
]
FOREIGN_ORIGINS = [
    "null",
    "http://evil.example",
    "http://mlflow.lan.evil.example",
    "http://mlflow.lan.evil.example:80",
    "http://mlflowxlan:5000",
    "http://xmlflow.lan:5000",
    "http://1.2.3.4",
    "http://f.evil.example",
]


@pytest.fixture
def mlflow_command(monkeypatch):
    """Run `mlflow server` up to the point where it starts processes.

    Returns:
        The command that it would run and the MLflow variables that its workers would see.
    """

    def run(*options):
        caught = {}

        class InterceptedError(Exception):
            pass

        def intercept(command, extra_env, **_):
            seen = {k: v for k, v in os.environ.items() if k.lstrip("_").startswith("MLFLOW_")}
            caught.update(command=command, variables={**seen, **extra_env})
            raise InterceptedError

        monkeypatch.setattr(mlflow.server, "_exec_cmd", intercept)
        monkeypatch.setattr("mlflow.server.handlers.initialize_backend_stores", lambda *_, **__: 0)
        result = CliRunner().invoke(cli, ["server", *options])
        assert isinstance(result.exception, InterceptedError), result.output
        return caught["command"], caught["variables"]

    return run


def test_mlflow_is_told_what_its_own_command_would_tell_it(
    load, mlflow_command, monkeypatch, tmp_path
):
    database = f"sqlite:///{tmp_path}/mlflow.db"  # because the command has a look at it
    settings = load(TRACKING_NAMES="mlflow.lan", TRACKING_BACKEND_STORE=database)
    ours = variables.mlflow_server(settings)
    # Two things that the command takes from its environment only.
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", ours["MLFLOW_FLASK_SERVER_SECRET_KEY"])
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    command, theirs = mlflow_command(
        f"--backend-store-uri={settings.backend_store}",
        f"--artifacts-destination={settings.artifact_store}",
        f"--allowed-hosts={ours['MLFLOW_SERVER_ALLOWED_HOSTS']}",
        f"--cors-allowed-origins={ours['MLFLOW_SERVER_CORS_ALLOWED_ORIGINS']}",
    )
    assert command[-1] == "mlflow.server.fastapi_app:app"
    theirs.pop("MLFLOW_SERVER_ENABLE_JOB_EXECUTION")
    assert ours.keys() - theirs.keys() == OWN
    assert theirs.keys() <= ours.keys()
    assert {name: theirs[name] for name in theirs.keys() - {RANDOM}} == {
        name: ours[name] for name in theirs.keys() - {RANDOM}
    }


def test_passwords_stay_in_files(load):
    ours = variables.clients(load())
    assert ours["PGPASSFILE"].endswith("/pgpass")
    assert ours["AWS_SHARED_CREDENTIALS_FILE"].endswith("/s3.ini")
    assert not any("text of" in value for value in ours.values())


def test_credentials_from_elsewhere_do_not_win(load, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "foreign")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "foreign")
    variables.apply(load())
    assert "foreign" not in os.environ.values()


@pytest.mark.parametrize("host", KNOWN_HOSTS)
def test_a_known_host_is_answered_on_any_port(host):
    hosts = variables.allowed_hosts(NAMES)
    assert is_allowed_host_header(hosts, host)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_foreign_host_is_not(host):
    assert not is_allowed_host_header(variables.allowed_hosts(NAMES), host)


@pytest.mark.parametrize("origin", KNOWN_ORIGINS)
def test_the_ui_under_a_known_name_may_write(origin):
    assert not should_block_cors_request(origin, "POST", variables.allowed_origins(NAMES))


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_origin_may_neither_write_nor_read(origin):
    """MLflow's own check forbids the one, the headers of Flask-CORS the other."""
    from flask import Flask
    from flask_cors import CORS

    origins = variables.allowed_origins(NAMES)
    assert should_block_cors_request(origin, "POST", origins)
    app = Flask("probe")
    app.add_url_rule("/", view_func=lambda: "x")
    CORS(app, resources={r"/*": {"origins": origins}}, supports_credentials=True)
    answer = app.test_client().get("/", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers
