"""Logins on PostgreSQL, as a real server has them; tests/compose/team has the rest."""

from __future__ import annotations

import os
import re
import secrets

import httpx
import pytest
from alembic import command
from mlflow.server.auth.db.utils import _get_alembic_config

from harness.tracking import on_postgres_and_s3, write_secrets
from tracking_server.backend import schema


@pytest.fixture(scope="module")
def passwords():
    return {name: secrets.token_hex(16) for name in ("admin-password", "serving-password")}


@pytest.fixture(scope="module")
def server(postgres, s3, tmp_path_factory, passwords):
    """A server with logins, migrated once; `first` is what that said."""
    folder = tmp_path_factory.mktemp("logins")
    logins = postgres.create_database()
    made = on_postgres_and_s3(folder, postgres, s3, TRACKING_LOGINS=postgres.url(logins))
    made.logins = logins
    for name, value in passwords.items():
        (folder / "secrets" / name).write_text(value)
    made.first = made.migrate()
    assert made.first.returncode == 0, made.first.stderr
    yield made
    made.stop()


def test_it_refuses_to_serve_before_users_are_there(postgres, s3, tmp_path):
    logins = postgres.url(postgres.create_database())
    done = on_postgres_and_s3(tmp_path, postgres, s3, TRACKING_LOGINS=logins).run("user", "list")
    assert done.returncode == 1
    assert "run `tracking-server migrate` first" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_migrate_makes_the_users_and_keeps_their_passwords(server, passwords):
    first = server.first
    assert "made user admin" in first.stderr
    again = server.migrate()
    assert "logins are up to date" in again.stderr
    for value in passwords.values():
        assert value not in first.stdout + first.stderr + again.stdout + again.stderr
    passwords["admin-password"] = secrets.token_hex(16)
    (server.folder / "secrets" / "admin-password").write_text(passwords["admin-password"])
    assert "user admin has the password of the secrets now" in server.migrate().stderr


def test_logins_hold_over_many_workers_and_a_restart(server, passwords):
    server.environment["TRACKING_WORKERS"] = "3"
    login = ("admin", passwords["admin-password"])
    for _ in range(2):
        server.start()
        with httpx.Client(base_url=server.uri, timeout=60) as http:
            search = "/api/2.0/mlflow/experiments/search?max_results=1"
            assert http.get(search).status_code == 401
            for _ in range(30):  # each worker has its own connections
                assert httpx.get(f"{server.uri}{search}", auth=login).status_code == 200
            assert http.get(search, auth=("admin", "wrong password")).status_code == 401
        server.stop()


@pytest.mark.parametrize(
    ("name", "note"), [("wine", ""), ("wien", "There is no model wien yet.\n")]
)
def test_a_grant_on_a_model_that_is_not_there_is_given_and_noted(server, postgres, name, note):
    postgres.execute("INSERT INTO registered_models (name, workspace) VALUES ('wine', 'default')"
                     " ON CONFLICT DO NOTHING", server.database)  # fmt: skip
    done = server.run("permission", "grant", "serving", "EDIT", "model", name)
    assert done.stdout == f"serving may EDIT model {name}\n"
    assert (done.returncode, done.stderr) == (0, note)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["user", "remove", "admin"], "rotate admin-password"),
        (["user", "add", "a:b"], "letters, digits"),
        (["user", "remove", "nobody"], "not found"),
        (["permission", "grant", "admin", "EDIT", "experiment", "none"], "no experiment none"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(server, arguments, reason):
    done = server.run(*arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_logins_go_back_to_the_backup_before_their_upgrade(server, postgres, s3, tmp_path):
    """And MLflow's data, in the database beside them, stays."""

    def revision():
        return postgres.execute("SELECT version_num FROM alembic_version_auth", server.logins)

    def users():
        return {name for (name,) in postgres.execute("SELECT username FROM users", server.logins)}

    postgres.execute("INSERT INTO experiments (experiment_id, name) VALUES (7, 'kept')",
                     server.database)  # fmt: skip
    os.environ["PGPASSFILE"] = f"{server.environment['TRACKING_SECRETS']}/pgpass"
    # MLflow's way back stumbles over these, which an older release did not have.
    postgres.execute("DELETE FROM role_permissions WHERE resource_type = 'prompt'", server.logins)
    command.downgrade(_get_alembic_config(postgres.url(server.logins)), "-1")
    older = revision()
    upgraded = server.migrate()
    assert upgraded.returncode == 0, upgraded.stderr
    assert revision() == [(schema.logins().head,)] != older
    backup = re.search(r"backed up to (\S+)", upgraded.stderr)[1]
    assert server.run("user", "add", "late").returncode == 0

    elsewhere = on_postgres_and_s3(tmp_path, postgres, s3)
    refused = elsewhere.run("restore", backup)
    assert refused.returncode == 1
    assert "holds logins, and there are none here" in refused.stderr.splitlines()[-1]

    restored = server.run("restore", backup)
    assert restored.returncode == 0, restored.stderr
    assert revision() == older
    assert users() == {"admin", "serving"}
    kept = postgres.execute("SELECT name FROM experiments", server.database)
    assert ("kept",) in kept

    # Newer logins than this release knows: it says what to do.
    postgres.execute("UPDATE alembic_version_auth SET version_num = 'fffffffffff0'", server.logins)
    newer = server.migrate()
    assert newer.returncode == 1
    assert "tracking-server restore FILE" in newer.stderr.splitlines()[-1]
    assert server.run("restore", backup).returncode == 0
    assert server.migrate().returncode == 0


def test_without_logins_there_are_no_users(postgres, s3, tmp_path):
    server = on_postgres_and_s3(tmp_path, postgres, s3)
    done = server.run("user", "list")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no logins here" in done.stderr


def test_a_missing_password_is_named(postgres, s3, tmp_path):
    logins = postgres.create_database()
    server = on_postgres_and_s3(tmp_path, postgres, s3, TRACKING_LOGINS=postgres.url(logins))
    write_secrets(tmp_path / "secrets", **{"serving-password": "x" * 12})
    done = server.migrate()
    assert done.returncode == 1
    assert "admin-password" in done.stderr.splitlines()[-1]
