"""What the host tools know of the team's own servers."""

import socket

import pytest

from host.docker import project
from host.modes import checks, compose

STORES = {
    "TRACKING_BACKEND_STORE": "postgresql+psycopg2://mlflow@db.lan:6432/runs?sslmode=verify-full",
    "TRACKING_ARTIFACT_STORE": "s3://team/stack",
    "TRACKING_S3_ENDPOINT": "https://s3.lan",
}


@pytest.fixture
def configured(monkeypatch):
    """Compose's own answer for these services beside tracking, with these settings of it."""

    def configure(*services, **settings):
        tracking = {"environment": {**STORES, **settings}}
        configuration = {"services": {"tracking": tracking, **{key: {} for key in services}}}
        monkeypatch.setattr(project, "_configuration", lambda: configuration)

    return configure


def test_the_stacks_own_servers_are_not_elsewhere(configured):
    configured("postgres", "minio")
    assert project.servers() == []


def test_servers_elsewhere_are_named_with_what_they_hold(configured):
    configured()
    assert project.servers() == [
        project.Server("PostgreSQL at db.lan:6432, database runs", "db.lan", 6432),
        project.Server("s3://team/stack at s3.lan", "s3.lan", 443),
    ]


def test_without_an_endpoint_the_storage_is_aws(configured):
    configured("postgres", TRACKING_S3_ENDPOINT="")
    assert project.servers() == [project.Server("s3://team/stack at AWS", "", 443)]


def test_doctor_says_which_of_them_answers(configured):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        configured(
            TRACKING_S3_ENDPOINT=f"https://127.0.0.1:{port}",
            TRACKING_BACKEND_STORE="x://127.0.0.1:1/d",
        )
        database, storage = checks._servers(compose)
    assert (database.level, storage.level) == ("note", "ok")
    assert "docs/external.md" in database.text
